"""What a person hands over for prediction, image by image: files, folders, patterns, and images in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from visionkit.errors import UserError
from visionkit.files import expand_user
from visionkit.inference.image_files import ImageFiles

if TYPE_CHECKING:
    from visionkit.data.image_rows import ImageRows
    from visionkit.data.images import ImageReader, LoadedImage
    from visionkit.inference.base import Inference

__all__ = ["ImageInput", "iterate_inputs", "single_input"]

_SUFFIXES, _MARKS = (".jpg", ".jpeg", ".png"), frozenset("*?[:")
_PATH_TYPES = (str, Path, os.PathLike)  # in this order: the check of a protocol is slow
_EXPECTED = (
    "a path, a folder, a pattern such as 'photos/*.jpg', a Pillow image, a NumPy array (H, W[, C]), a tensor "
    "(C, H, W), or several of these"
)


class ImageInput(NamedTuple):
    """One image: a file, or one in memory.

    Attributes:
        path: The file; None for an image in memory.
        image: The image in memory; None for a file.
        name: What messages call it.
    """

    path: Path | None
    image: Any
    name: str

    def load(self, inference: Inference, reader: ImageReader) -> LoadedImage:
        """The image for `Inference.prepare`, resized as in training and evaluation.

        Raises:
            UserError: If it cannot be read.
        """
        if self.path is not None:
            try:
                return inference.read(self.path, reader)
            except UserError:
                if not os.path.exists(self.path):
                    ImageFiles(str(self.path))  # says what may be meant
                raise
        from visionkit.data.memory_images import read_memory

        loaded = read_memory(reader, self.image, name=self.name, target=inference.transform.content_size)
        return loaded._replace(pixels=inference.transform.place(loaded.pixels))

    def rows(self, reader: ImageReader) -> ImageRows:
        """The image to be read some rows at a time, of any size if it is a file.

        Raises:
            UserError: If it cannot be read.
        """
        from visionkit.data.image_rows import MemoryRows, open_rows

        return MemoryRows(self.original(reader).pixels) if self.path is None else open_rows(self.path, reader)

    def original(self, reader: ImageReader) -> LoadedImage:
        """The image at its full size.

        Raises:
            UserError: If it cannot be read.
        """
        if self.path is not None:
            return reader.read(self.path)
        from visionkit.data.memory_images import read_memory

        return read_memory(reader, self.image, name=self.name)


def single_input(images: Any) -> ImageInput | None:
    """The one image that is meant; None if several are, or a folder or pattern of files.

    Raises:
        UserError: If there is no such file, or it is no image.
    """
    if isinstance(images, _PATH_TYPES):
        text = os.fspath(images)
        if "://" in text:
            raise UserError(f"'{text}' is an address, and nothing is fetched from the network. Expected {_EXPECTED}.")
        path = images if isinstance(images, Path) and text[0] != "~" else expand_user(text)
        return ImageInput(path, None, text) if os.path.isfile(text if path is images else path) else None
    from visionkit.data.memory_images import is_image

    return ImageInput(None, images, "the image") if is_image(images) else None


def _named_as_file(image: Any) -> ImageInput | None:
    """The image of a path that ends as a file does; opening it proves that, and asking before takes a share of it."""
    if not isinstance(image, Path):
        return None
    text = str(image)
    is_plain = text.endswith(_SUFFIXES) and text[0] != "~" and _MARKS.isdisjoint(text)
    return ImageInput(image, None, text) if is_plain else None


def iterate_inputs(images: Any) -> Iterator[ImageInput]:
    """Each image of what a person hands over, one after the other; a generator is asked for no more than is needed.

    Raises:
        UserError: If something is no image; what came before has been given out by then.
    """
    single = single_input(images)
    if single is not None:
        yield single
        return
    if isinstance(images, _PATH_TYPES):
        for path in ImageFiles(os.fspath(images)):
            yield ImageInput(path, None, str(path))
        return
    if not isinstance(images, Iterable) or isinstance(images, bytes | dict) or not getattr(images, "shape", (1,)):
        raise UserError(f"predict: found {_describe(images)}, expected {_EXPECTED}.")
    for number, image in enumerate(images, start=1):
        single = _named_as_file(image) or single_input(image)
        if single is not None and single.path is not None:
            yield single
            continue
        if isinstance(image, _PATH_TYPES):
            yield from iterate_inputs(image)
            continue
        if single is None:
            raise UserError(f"predict: image {number} is {_describe(image)}, expected {_EXPECTED}.")
        yield ImageInput(None, image, f"image {number}")


def _describe(value: Any) -> str:
    shape = getattr(value, "shape", None)
    kind = type(value).__name__
    return f"a {kind} of shape {tuple(shape)}" if shape is not None else f"a {kind}"

"""Opening image files, and what their headers say; without torch, and without decoding."""

from __future__ import annotations

import math
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from visionkit.data.arrays import ARRAY_MARK, ArrayImage
from visionkit.data.image_error import ImageError
from visionkit.data.image_files import readable_suffixes
from visionkit.data.image_modes import is_deep

__all__ = [
    "TURNS",
    "Header",
    "as_stored",
    "header_of",
    "identify_image",
    "lift_limit",
    "naming_image",
    "open_image",
    "read_header",
    "read_size",
    "safe_formats",
]

_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "DIB", "JPEG2000", "AVIF", "HEIF", "ICO")
"""Pillow's readers that are asked, in this order; those of scripts, such as EPS, start other programs."""

TURNS: dict[int, tuple[bool, tuple[int, ...]]] = {
    2: (False, (-1,)),
    3: (False, (-2, -1)),
    4: (False, (-2,)),
    5: (True, ()),
    6: (True, (-1,)),
    7: (True, (-2, -1)),
    8: (True, (-2,)),
}
"""By EXIF orientation: whether rows and columns change places, and the axes that are mirrored then."""

_ORIENTATION = 0x0112  # of EXIF
_TURN = "visionkit: orientation"
_TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class Header(NamedTuple):
    """What the beginning of an image file says.

    Attributes:
        stored: Height and width of the stored pixels.
        orientation: 1 to 8, as in EXIF; 1 is upright.
        deep: Whether values have more than 8 bits or are floats.
    """

    stored: tuple[int, int]
    orientation: int
    deep: bool

    @property
    def size(self) -> tuple[int, int]:
        """Height and width after the EXIF orientation."""
        height, width = self.stored
        return (width, height) if self.orientation in (5, 6, 7, 8) else self.stored

    def is_annotated_unturned(self, annotated: tuple[int, int] | None) -> bool:
        """Whether a declared height and width are those of the stored pixels, and not of the turned image."""
        return annotated == self.stored != self.size


def read_header(path: str | Path) -> Header:
    """Size, orientation and depth of an image file, from its header.

    Raises:
        ImageError: If the header cannot be read.
    """
    with open_image(path) as image:
        return header_of(image)


def read_size(path: str | Path) -> tuple[int, int]:
    """Height and width of an image after its EXIF orientation, in pixels, from the file's header.

    Raises:
        ImageError: If the header cannot be read.
    """
    return read_header(path).size


@contextmanager
def open_image(path: str | Path, *, kind: str = "image") -> Iterator[Any]:
    """Open a file without decoding it: as an image of Pillow's, a `TiffBands` or an `ArrayImage`, until the block ends.

    Unlike `PIL.Image.open`, without a limit of size, a warning, or another program.

    Args:
        path: The file.
        kind: What messages call it.

    Raises:
        ImageError: If the file cannot be opened, or decoding fails within the block; the message names it.
    """
    with naming_image(path, kind=kind):
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is a folder, a pipe or a device")
        if not status.st_size:
            raise ValueError("it is empty, a file of 0 bytes")
        with open(path, "rb") as file:
            yield identify_image(file, str(path))


@contextmanager
def naming_image(path: str | Path, *, kind: str = "image") -> Iterator[None]:
    """Turn what fails in the block into an error that names the image, as one of this kind.

    Raises:
        ImageError: If the block fails.
    """
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except FileNotFoundError:
        raise ImageError(f"{kind} '{path}' does not exist.") from None
    except Exception as error:
        error = ValueError("it was cut short") if isinstance(error, struct.error) else error
        reason = " ".join(str(error).replace(f"'{path}'", "").replace(str(path), "").split()) or type(error).__name__
        raise ImageError(
            f"{kind} '{path}' cannot be read: {reason}. Expected a whole JPEG, PNG, BMP, GIF, TIFF, WebP or NPY file. "
            "Replace or remove it."
        ) from None


def identify_image(file: BinaryIO, name: str) -> Any:
    """An image of Pillow's, a `TiffBands` or an `ArrayImage` of an opened file; ``name`` is its path.

    Raises:
        ValueError: If it is no image of a known form.
    """
    prefix = file.read(16)
    if prefix.startswith(ARRAY_MARK):
        return ArrayImage.open(file, name)
    for factory, accept in _factories():
        if accept is not None and accept(prefix) is not True:
            continue
        file.seek(0)
        try:
            image = factory(file, name)
            if image.format == "TIFF":
                _keep_stored(image)
            return image
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue
    if prefix[:4] in _TIFF_MARKS:
        from visionkit.data.tiff_bands import TiffBands

        return TiffBands.open(name)
    raise ValueError("cannot identify image file")


@cache
def _factories() -> tuple[tuple[Any, Any], ...]:
    from PIL import Image

    return tuple(Image.OPEN[name] for name in safe_formats())


def safe_formats() -> tuple[str, ...]:
    """The names of Pillow's readers that start no other program, of those that are installed."""
    from PIL import Image

    readable_suffixes()  # registers plug-ins
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def header_of(image: Any) -> Header:
    """The header of an opened image."""
    width, height = image.size
    return Header((height, width), _orientation(image), is_deep(image))


def _orientation(image: Any) -> int:
    """The EXIF orientation of a file, 1 where it says none that can be read; without decoding it."""
    from PIL import Image

    if not isinstance(image, Image.Image):
        return 1
    if _TURN in image.info:
        return int(image.info[_TURN])
    try:
        if image.format == "PNG" and "exif" not in image.info:
            exif = _late_exif(image.fp)  # type: ignore[attr-defined]
            if exif is not None:
                image.info["exif"] = exif
        # that of PNG files decodes them
        return int(Image.Image.getexif(image).get(_ORIENTATION, 1))
    except Exception:
        return 1


def _keep_stored(image: Any) -> None:
    """Let a TIFF file be decoded as it is stored, as all other files are: Pillow would turn it."""
    orientation = _orientation(image)
    if orientation != 1:
        exif = image.getexif()
        if _ORIENTATION in exif:
            del exif[_ORIENTATION]
        image.info[_TURN] = orientation
        image._size = image._tile_size


def as_stored(image: Any) -> Any:
    """A copy of a decoded image of Pillow's that no orientation turns; another image as it is."""
    from PIL import Image

    if not isinstance(image, Image.Image):
        return image
    copy = image.copy()
    copy.info[_TURN] = 1
    return copy


def lift_limit(image: Any) -> None:
    """Let a TIFF file of more pixels than Pillow's own limit be decoded, as other opened files are."""
    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS or math.inf
    if image.format == "TIFF" and isinstance(image, Image.Image) and image.width * image.height > limit:
        image.im = Image.new(image.mode, image.size).im  # Pillow checks the size as it makes this


def _late_exif(file: BinaryIO) -> bytes | None:
    """The EXIF chunk of a PNG file that may lie behind its pixels."""
    position = file.tell()
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"eXIf":
                return file.read(length)
            file.seek(length + 4, 1)
        return None
    finally:
        file.seek(position)

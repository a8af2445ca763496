"""Image files: finding them in folders, in the same order on every machine, and decoding them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.errors import UserError

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

__all__ = ["IMAGE_SUFFIXES", "ImageFiles", "is_image_name", "read_size", "walk_images", "load_image"]

IMAGE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif"),
        *(".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
    }
)


class ImageFiles:
    """The image files of ``predict source=...``: a file, all images of a folder and its sub-folders, or a glob.

    Args:
        source_argument: A file, a folder or a pattern such as ``"photos/**/*.jpg"``; ``~`` is the home folder.
            A single file may have any suffix.

    Raises:
        UserError: If there is no such file or folder, or no image in it.
    """

    def __init__(self, source_argument: str) -> None:
        if not source_argument:
            raise UserError("source is not given. Expected an image, a folder or a pattern. Try: source=photo.jpg")
        path = Path(source_argument).expanduser()
        if path.is_file():
            self.paths: tuple[Path, ...] = (path,)
        elif path.is_dir():
            self.paths = tuple(path / name for name in sorted(walk_images(path)))
            if not self.paths:
                raise UserError(
                    f"source: no images in the folder '{source_argument}'. Expected files ending in {_suffixes()}."
                )
        elif glob.has_magic(source_argument):
            matches = sorted(glob.glob(str(path), recursive=True))
            files = (Path(name) for name in matches if is_image_name(name) and os.path.isfile(name))
            self.paths = tuple(file for file in files if "__MACOSX" not in file.parts)
            if not self.paths:
                raise UserError(
                    f"source: no images match '{source_argument}' (looked in {Path.cwd()}). "
                    f"Expected files ending in {_suffixes()}."
                )
        else:
            raise UserError(
                f"source: there is no file or folder '{source_argument}' (looked in {Path.cwd()}). "
                "Expected an image, a folder or a pattern in quotes. Try: 'source=photos/*.jpg'"
            )

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Path]:
        return iter(self.paths)

    def __getitem__(self, index: int) -> Path:
        return self.paths[index]


def is_image_name(name: str) -> bool:
    """Whether a file name has an image suffix and is not hidden."""
    base = os.path.basename(name)
    return not base.startswith(".") and os.path.splitext(base)[1].lower() in IMAGE_SUFFIXES


def read_size(path: str | Path) -> tuple[int, int]:
    """Height and width of an image after its EXIF orientation, in pixels, from the file's header.

    Raises:
        UserError: If the header cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
            is_transposed = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except Exception as error:
        raise UserError(f"image '{path}' cannot be read: {error}.") from None
    return (width, height) if is_transposed else (height, width)


def walk_images(folder: str | Path) -> Iterator[str]:
    """The paths of the images below a folder, relative to it, separated by ``/``, without hidden ones."""
    folders, visited = [""], {os.path.realpath(folder)}
    while folders:
        inner = folders.pop()
        with os.scandir(os.path.join(folder, inner)) as entries:
            for entry in entries:
                if entry.name.startswith((".", "__MACOSX")):
                    continue
                name = f"{inner}{entry.name}"
                if entry.is_dir():
                    target = os.path.realpath(entry.path) if entry.is_symlink() else ""
                    if target not in visited:  # a link to a parent folder would be an endless loop
                        folders.append(f"{name}/")
                        visited.update([target] if target else [])
                elif is_image_name(entry.name):
                    yield name


def _suffixes() -> str:
    return ", ".join(sorted(IMAGE_SUFFIXES))


def load_image(path: str | Path, in_channels: int = 3) -> Tensor:
    """Decode one image file.

    EXIF orientation is applied, the first frame of an animation is used, 16-bit values are scaled to 8 bits, and
    transparent pixels are composited over white.

    Args:
        path: The file.
        in_channels: 1 for grey, 3 for RGB.

    Returns:
        uint8 (C, H, W), 0..255, contiguous.

    Raises:
        UserError: If the file is missing or cannot be decoded; the message names it.
    """
    import numpy
    import torch
    from PIL import Image, ImageOps

    if in_channels not in (1, 3):
        raise UserError(f"images are read with 1 channel (grey) or 3 (colour), not {in_channels}.")
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            pixels = numpy.array(_to_mode(upright, "L" if in_channels == 1 else "RGB"))
    except FileNotFoundError:
        raise UserError(f"image '{path}' does not exist.") from None
    except MemoryError:
        raise
    except Exception as error:
        reason = " ".join(str(error).replace(f"'{path}'", "").replace(str(path), "").split()) or type(error).__name__
        raise UserError(
            f"image '{path}' cannot be read: {reason}. Expected a whole JPEG, PNG, BMP, GIF, TIFF or WebP file. "
            "Replace or remove it."
        ) from None
    tensor = torch.from_numpy(pixels)
    return tensor[None] if in_channels == 1 else tensor.permute(2, 0, 1).contiguous()


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert a Pillow image to mode ``L`` or ``RGB``."""
    import numpy
    from PIL import Image

    if image.mode.startswith("I"):  # 16-bit files; Pillow would clip them at 255
        values = numpy.asarray(image).astype(numpy.int64)
        if image.mode != "I" or values.max(initial=0) > 255:
            values = values // 257
        image = Image.fromarray(numpy.clip(values, 0, 255).astype(numpy.uint8))
    elif image.mode == "F":
        real = numpy.nan_to_num(numpy.asarray(image))
        real = real * 255 if real.size and real.max() <= 1 else real
        image = Image.fromarray(numpy.clip(numpy.rint(real), 0, 255).astype(numpy.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)

"""Decoding image files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.errors import UserError

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

__all__ = ["load_image", "read_size"]


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

"""Images of any number of bands: as Pillow reads them, or, where it cannot, the optional package tifffile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visionkit.data.image_error import ImageError
from visionkit.data.image_modes import num_bands, sixteen_bit_colour
from visionkit.data.pixels import to_tensor
from visionkit.data.tiff_bands import TiffBands

__all__ = ["read_bands"]


def read_bands(image: Any, path: str | Path, *, in_channels: int) -> Tensor:
    """The values of a file of so many bands, or of so many pages of one band.

    Args:
        image: The opened file.
        path: Its path.
        in_channels: The number of bands that is expected.

    Returns:
        (C, H, W), uint8, or float32 for more than 8 bits.

    Raises:
        ImageError: If the file has another number of bands, or tifffile is needed and not installed.
    """
    bands, pages = num_bands(image), getattr(image, "n_frames", 1)
    if isinstance(image, TiffBands):
        values = image.values(in_channels)
        if values is not None:
            return values
    elif bands == in_channels:
        return _bands_of(image, path)
    elif bands == 1 and pages == in_channels:
        frames = []
        for page in range(pages):
            image.seek(page)
            frames.append(to_tensor(image))
        return torch.cat(frames)
    raise ImageError(
        f"image '{path}' has {bands} band(s), but dataset.in_channels={in_channels}. Expected {in_channels}. "
        f"Try: dataset.in_channels={bands}. Or replace or remove it.",
        code="image-bands",
    )


def _bands_of(image: Any, path: str | Path) -> Tensor:
    bands = num_bands(image)
    if sixteen_bit_colour(image):
        if image.format == "PNG":
            from torchvision.io import decode_png, read_file

            values: Tensor = decode_png(read_file(str(path)))
            return values.float()
        return TiffBands.open(str(path)).required(bands)
    if len(image.getbands()) == bands:
        return to_tensor(image)
    if image.mode == "P":
        return to_tensor(image.convert("RGB"))
    if bands == 4 and image.mode == "RGB" and image.tile and image.tile[0][3][0] == "RGBX":
        image._mode = "RGBX"  # Pillow would leave the fourth band out
        return to_tensor(image)
    return TiffBands.open(str(path)).required(bands)

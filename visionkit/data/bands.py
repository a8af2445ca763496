"""Images of any number of bands: as Pillow reads them, or, where it cannot, the optional package tifffile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visionkit.data.arrays import ArrayImage
from visionkit.data.image_error import DATASET_ADVICE, ImageAdvice, ImageError
from visionkit.data.image_modes import num_bands, sixteen_bit_colour
from visionkit.data.pixels import to_tensor
from visionkit.data.tiff_bands import TiffBands

__all__ = ["needs_tifffile", "read_bands"]


def read_bands(image: Any, path: str | Path, *, in_channels: int, advice: ImageAdvice = DATASET_ADVICE) -> Tensor:
    """The values of a file of so many bands, or of so many pages of one band.

    Args:
        image: The opened file.
        path: Its path.
        in_channels: The number of bands that is expected.
        advice: What the error says.

    Returns:
        (C, H, W), uint8, or float32 for more than 8 bits.

    Raises:
        ImageError: If the file has another number of bands, or tifffile is needed and not installed.
    """
    bands, pages = num_bands(image), getattr(image, "n_frames", 1)
    if isinstance(image, TiffBands | ArrayImage):
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
        f"image '{path}' has {bands} band(s), but {advice.channels.format(channels=in_channels)}. "
        f"{advice.other_bands.format(bands=bands)}",
        code="image-bands",
    )


def needs_tifffile(image: Any) -> bool:
    """Whether Pillow does not decode all that a TIFF file holds."""
    if isinstance(image, ArrayImage):
        return False
    if isinstance(image, TiffBands) or sixteen_bit_colour(image):
        return True
    return len(image.getbands()) != num_bands(image) and image.mode != "P" and not _has_fourth_band(image)


def _has_fourth_band(image: Any) -> bool:
    """Whether Pillow takes a file of four bands for RGB, and leaves the fourth one out."""
    return num_bands(image) == 4 and image.mode == "RGB" and bool(image.tile) and image.tile[0][3][0] == "RGBX"


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
    if _has_fourth_band(image):
        image._mode = "RGBX"
        return to_tensor(image)
    return TiffBands.open(str(path)).required(bands)

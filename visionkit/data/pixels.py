"""The pixels of an opened image as a tensor, turned upright, in the channels and the range that are wanted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from visionkit.data.image_header import TURNS
from visionkit.data.image_modes import has_alpha

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["match_channels", "scale_values", "to_eight_bits", "to_mode", "to_tensor", "turn"]

_GREY_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow's


def to_tensor(image: Image.Image) -> Tensor:
    """The values of an image of mode L, RGB, RGBA, CMYK, I;16, I or F.

    Returns:
        (C, H, W), a view of memory in which the channels lie together; uint8, or float32 for modes I and F.
    """
    width, height = image.size
    dtype, swap = torch.uint8, False
    if image.mode.startswith("I;16"):
        dtype, swap = torch.uint16, image.mode.endswith("B") != (sys.byteorder == "big")
    elif image.mode in ("I", "F"):
        dtype = torch.int32 if image.mode == "I" else torch.float32
    buffer = bytearray(image.tobytes())
    if swap:
        buffer[::2], buffer[1::2] = buffer[1::2], buffer[::2]
    values = torch.frombuffer(buffer, dtype=dtype).view(height, width, -1).permute(2, 0, 1)
    return values if dtype == torch.uint8 else values.float()


def to_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert an image of 8 bits to mode ``L`` or ``RGB``; what is transparent lies over white."""
    from PIL import Image

    if has_alpha(image):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)


def to_eight_bits(values: Tensor, mode: str) -> Tensor:
    """Deep values of which no range is known as uint8: 16 bits are divided by 257, floats up to 1 are stretched.

    Args:
        values: float32 (C, H, W).
        mode: The mode of Pillow that they were read from; values of mode ``I`` up to 255 stay.
    """
    if mode == "F":
        values = values.nan_to_num()
        values = values * 255 if values.numel() and float(values.max()) <= 1 else values
        return values.round().clamp(0, 255).to(torch.uint8)
    if mode != "I" or float(values.max()) > 255:
        values = (values / 257).floor()
    return values.clamp(0, 255).to(torch.uint8)


def scale_values(values: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Bring ``low`` to 0 and ``high`` to 255; values outside are clipped, and those that are no numbers are ``low``.

    Args:
        values: float32 (C, H, W).
        value_range: ``low`` and ``high``.

    Returns:
        float32 (C, H, W), 0..255.
    """
    low, high = value_range
    values = values.nan_to_num(low, posinf=high, neginf=low).double()
    return ((values - low) * (255.0 / (high - low))).clamp_(0, 255).float()


def match_channels(values: Tensor, in_channels: int) -> Tensor:
    """Grey as three channels, or colour as one; else the values themselves, (C, H, W)."""
    if len(values) == in_channels:
        return values
    if len(values) == 1:
        return values.expand(in_channels, -1, -1)
    weights = torch.tensor(_GREY_WEIGHTS)[:, None, None]
    grey = (values.float() * weights).sum(dim=0, keepdim=True)
    return grey if values.is_floating_point() else grey.round().to(values.dtype)


def turn(values: Tensor, orientation: int) -> Tensor:
    """Turn stored values (C, H, W) upright, by the orientation of EXIF, 1 to 8; others are upright."""
    if orientation not in TURNS:
        return values
    is_transposed, mirrored = TURNS[orientation]
    values = values.mT if is_transposed else values
    return values.flip(mirrored) if mirrored else values

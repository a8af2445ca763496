"""Resizing of images, and the scale at which a JPEG file is decoded so that little is left to resize."""

from __future__ import annotations

from torch import Tensor

__all__ = ["decoding_scale", "resize_image"]

_DECODING_SCALES = (8, 4, 2)  # of libjpeg, by its inverse transform
_MIN_AREA_RATIO = 1.5
"""Pixels decoded per pixel of the result. With fewer, sharp photos differ by more than 2/255 from an exact resize."""


def resize_image(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize with antialiasing, bilinear.

    Args:
        images: uint8 or float32 (C, H, W) or (B, C, H, W), 0..255; a batch gives the same pixels as its single images.
        size: Height and width of the result, in pixels.

    Returns:
        The same dtype, contiguous; the images themselves if they have this size.
    """
    if images.shape[-2:] == size:
        return images
    from torch.nn.functional import interpolate

    # torchvision's resize is this, with more copies around it
    batch = images if images.ndim == 4 else images[None]
    resized = interpolate(batch, size=size, mode="bilinear", antialias=True)
    return (resized if images.ndim == 4 else resized[0]).contiguous()


def decoding_scale(size: tuple[int, int], target: tuple[int, int]) -> int:
    """The largest divisor, 1, 2, 4 or 8, at which a decoded image still has the pixels that ``target`` needs.

    Args:
        size: Height and width of the file, in pixels.
        target: Height and width after resizing.
    """
    for scale in _DECODING_SCALES:
        height, width = size[0] / scale, size[1] / scale
        if height >= target[0] and width >= target[1] and height * width >= _MIN_AREA_RATIO * target[0] * target[1]:
            return scale
    return 1

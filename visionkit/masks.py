"""Masks as tensors: one class id per pixel, `IGNORED` where a pixel does not count."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["IGNORED", "pixels_inside", "restore_logits"]

IGNORED = 255
"""The id of pixels that count neither in a loss nor in a score: void, padding, and what lies outside the image."""


def pixels_inside(image_sizes: Tensor, size: tuple[int, int]) -> Tensor:
    """Which pixels of a padded batch belong to its images.

    Args:
        image_sizes: (B, 2) int64 height and width of each image, which lies top left.
        size: Height and width of the batch in pixels.

    Returns:
        (B, H, W) bool.
    """
    rows = torch.arange(size[0], device=image_sizes.device) < image_sizes[:, :1]  # (B, H)
    columns = torch.arange(size[1], device=image_sizes.device) < image_sizes[:, 1:]  # (B, W)
    return rows[:, :, None] & columns[:, None, :]


def restore_logits(logits: Tensor, image_sizes: Tensor, original_sizes: Tensor) -> list[Tensor]:
    """Logits with padding and resizing undone, so that the class of each pixel of an original is their argmax.

    Images of one size that were one size are interpolated together.

    Args:
        logits: (B, K, H, W) floating point, in pixels of the batch.
        image_sizes: (B, 2) int64 height and width of each image in the batch, without padding.
        original_sizes: (B, 2) int64 height and width of the same images as they were read.

    Returns:
        For each image (K, its original height, its original width).
    """
    sizes = [(*here, *there) for here, there in zip(image_sizes.tolist(), original_sizes.tolist(), strict=True)]
    restored: dict[int, Tensor] = {}
    for size in dict.fromkeys(sizes):
        height, width, *original = size
        places = [i for i, other in enumerate(sizes) if other == size]
        some = (logits if len(places) == len(sizes) else logits[places])[..., :height, :width]
        if [height, width] != original:
            some = F.interpolate(some, size=original, mode="bilinear", align_corners=False)
        restored |= dict(zip(places, some, strict=True))
    return [restored[i] for i in range(len(sizes))]

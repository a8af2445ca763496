"""Anchor points of feature maps, and maps flattened to a row per anchor."""

from __future__ import annotations

import torch
from torch import Tensor

from visionkit.backbones import FeatureInfo

__all__ = ["anchor_points", "flatten_predictions"]


def anchor_points(level: FeatureInfo, x: Tensor, image_size: tuple[int, int], *, corner: bool) -> Tensor:
    """The anchor point of each cell of a level, (H, W, 2) float32: x and y in pixels.

    Args:
        level: The declared stride and offset of the level.
        x: The feature map of the level (B, C, H, W).
        image_size: Height and width in pixels of the batch's images.
        corner: Put the point of cell i at ``i * (image_size // cells)`` as torchvision does, not at the centre of its
            receptive field.
    """
    axes = []
    for cells, pixels in zip(x.shape[-2:], image_size, strict=True):
        index = torch.arange(cells, dtype=torch.float32, device=x.device)
        axes.append(index * (pixels // cells) if corner else index * level.stride + (level.offset + 0.5))
    columns, rows = torch.meshgrid(
        axes[1], axes[0], indexing="xy"
    )  # without len, which would fix the size of an export
    return torch.stack([columns, rows], dim=-1)


def flatten_predictions(x: Tensor, channels: int) -> Tensor:
    """A map (B, n * channels, H, W) of n anchors per cell as a row per anchor: (B, H * W * n, channels)."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, channels)

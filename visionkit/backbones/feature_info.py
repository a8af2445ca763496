"""The declared properties of a feature map."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FeatureInfo"]


@dataclass(frozen=True)
class FeatureInfo:
    """A feature map as declared before any forward pass.

    Attributes:
        name: Name of the stage or level.
        channels: Channels of its map.
        stride: Pixels of the image per cell, on both axes.
        offset: Index of the pixel on which the first cell is centred, the first pixel being 0.0.
            In box coordinates, where the first pixel spans 0 to 1, add 0.5. Unpadded nets are not
            aligned at ``stride / 2``.
    """

    name: str
    channels: int
    stride: int
    offset: float

"""Losses that torch lacks: pure functions of logits and targets."""

from visionkit.losses.focal import focal_loss
from visionkit.losses.segmentation import dice_loss, pixel_cross_entropy, pixel_focal_loss

__all__ = ["dice_loss", "focal_loss", "pixel_cross_entropy", "pixel_focal_loss"]

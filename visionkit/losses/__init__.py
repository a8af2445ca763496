"""Losses: pure functions on tensors."""

from visionkit.losses.focal import focal_loss

__all__ = ["focal_loss"]

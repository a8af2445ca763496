"""Losses of predicted boxes, one number per box."""

from __future__ import annotations

from torch import Tensor

from visionkit.structures.boxes import generalized_iou

__all__ = ["giou_loss", "l1_loss"]


def l1_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    """The absolute differences of the deltas of a box, summed; (..., 4) floating point to (...)."""
    return (predictions - targets).abs().sum(dim=-1)


def giou_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    """1 minus the generalised IoU (Rezatofighi et al. 2019, arXiv:1902.09630), in 0..2.

    Args:
        predictions: (..., 4) xyxy in pixels.
        targets: (..., 4) xyxy in pixels.

    Returns:
        (...), the loss of each pair.
    """
    return 1 - generalized_iou(predictions, targets)[1]

"""Losses of masks: every pixel has a class; those with `visionkit.structures.class_ids.IGNORE_INDEX` do not count."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from visionkit.structures.class_ids import IGNORE_INDEX

__all__ = ["dice_loss", "pixel_cross_entropy", "pixel_focal_loss"]


def pixel_cross_entropy(
    logits: Tensor, mask: Tensor, *, class_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy over the pixels that count; 0 where none does.

    Args:
        logits: (B, K, H, W) floating point; sums are taken in at least float32.
        mask: (B, H, W) uint8: the class in 0..K-1, or 255.
        class_weights: (K,): what a pixel counts by its class; the mean is a weighted one.
        label_smoothing: Share of each target spread evenly over all classes (Szegedy et al. 2016, section 7).
    """
    x = _exact(logits)
    weights = None if class_weights is None else class_weights.to(x.dtype)
    total = F.cross_entropy(
        x, mask.long(), weight=weights, ignore_index=IGNORE_INDEX, reduction="sum", label_smoothing=label_smoothing
    )
    return total / _weight_of(mask, weights, x.dtype)


def pixel_focal_loss(
    logits: Tensor, mask: Tensor, *, class_weights: Tensor | None = None, gamma: float = 2.0
) -> Tensor:
    """Mean cross-entropy, each pixel times ``(1 - p)^gamma`` of its class's probability p; 0 where none counts.

    Lin et al. 2017 (arXiv:1708.02002), section 3.2, with a softmax over the classes.

    Args:
        logits: (B, K, H, W) floating point; sums are taken in at least float32.
        mask: (B, H, W) uint8: the class in 0..K-1, or 255.
        class_weights: (K,): what a pixel counts by its class; the mean is a weighted one.
        gamma: At least 1, for a gradient at p = 1.
    """
    x = _exact(logits)
    weights = None if class_weights is None else class_weights.to(x.dtype)
    surprise = F.cross_entropy(x, mask.long(), ignore_index=IGNORE_INDEX, reduction="none")  # (B, H, W)
    loss = -torch.expm1(-surprise)  # 1 - p
    loss = loss**gamma * surprise
    if weights is not None:
        loss = loss * _of_pixels(mask, weights)
    return loss.sum() / _weight_of(mask, weights, x.dtype)


def dice_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """1 minus the soft Dice coefficient, the mean over the classes that occur in the batch; 0 where none does.

    Milletari et al. 2016 (arXiv:1606.04797), section 3, without their squares: sums of probabilities take the place
    of counts.

    Args:
        logits: (B, K, H, W) floating point; sums are taken in at least float32.
        mask: (B, H, W) uint8: the class in 0..K-1, or 255.
    """
    probabilities = _exact(logits).softmax(dim=1)
    classes = torch.arange(logits.shape[1], device=mask.device)[:, None, None]
    true = mask[:, None] == classes  # (B, K, H, W)
    hit = torch.where(true, probabilities, 0).sum(dim=(0, 2, 3))
    said = torch.where((mask != IGNORE_INDEX)[:, None], probabilities, 0).sum(dim=(0, 2, 3))
    sizes = true.sum(dim=(0, 2, 3))
    there = sizes > 0
    dice = 2 * hit / (said + sizes).clamp(min=torch.finfo(probabilities.dtype).tiny)
    return torch.where(there, 1 - dice, 0).sum() / there.sum().clamp(min=1)


def _exact(logits: Tensor) -> Tensor:
    return logits if logits.dtype in (torch.float32, torch.float64) else logits.float()


def _of_pixels(mask: Tensor, weights: Tensor) -> Tensor:
    """What each pixel counts, (B, H, W)."""
    return torch.cat([weights, weights.new_zeros(1)])[mask.long().clamp(max=len(weights))]


def _weight_of(mask: Tensor, weights: Tensor | None, dtype: torch.dtype) -> Tensor:
    """What all pixels together count, never 0."""
    total = (mask != IGNORE_INDEX).sum().to(dtype) if weights is None else _of_pixels(mask, weights).sum()
    return total.clamp(min=torch.finfo(dtype).tiny)

"""Losses of semantic segmentation; pixels of `visionkit.structures.class_ids.IGNORE_INDEX` are ignored."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from visionkit.losses.sums import LossSums, with_sums
from visionkit.structures.class_ids import IGNORE_INDEX

__all__ = ["dice_loss", "pixel_cross_entropy", "pixel_focal_loss"]


def pixel_cross_entropy_sums(
    logits: Tensor, mask: Tensor, *, class_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> LossSums:
    """The sums of `pixel_cross_entropy`: over pixels, of losses and of weights."""
    x = _at_least_float32(logits)
    weights = None if class_weights is None else class_weights.to(x.dtype)
    total = F.cross_entropy(
        x, mask.long(), weight=weights, ignore_index=IGNORE_INDEX, reduction="sum", label_smoothing=label_smoothing
    )
    return LossSums(total, _total_weight(mask, weights, x.dtype))


@with_sums(pixel_cross_entropy_sums)
def pixel_cross_entropy(
    logits: Tensor, mask: Tensor, *, class_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy over the pixels that are not ignored; 0 where there are none.

    Args:
        logits: (B, K, H, W) floating point; sums are taken in at least float32.
        mask: (B, H, W) uint8: the class in 0..K-1, or 255.
        class_weights: (K,) factors of the pixels of each class; the mean is weighted by them.
        label_smoothing: Fraction of each target spread evenly over all classes (Szegedy et al. 2016, section 7).
    """
    sums = pixel_cross_entropy_sums(logits, mask, class_weights=class_weights, label_smoothing=label_smoothing)
    return sums.value()


def pixel_focal_sums(
    logits: Tensor, mask: Tensor, *, class_weights: Tensor | None = None, gamma: float = 2.0
) -> LossSums:
    """The sums of `pixel_focal_loss`: over pixels, of losses and of weights."""
    x = _at_least_float32(logits)
    weights = None if class_weights is None else class_weights.to(x.dtype)
    cross_entropy = F.cross_entropy(x, mask.long(), ignore_index=IGNORE_INDEX, reduction="none")  # (B, H, W)
    loss = -torch.expm1(-cross_entropy)  # 1 - p
    loss = loss**gamma * cross_entropy
    if weights is not None:
        loss = loss * _pixel_weights(mask, weights)
    return LossSums(loss.sum(), _total_weight(mask, weights, x.dtype))


@with_sums(pixel_focal_sums)
def pixel_focal_loss(
    logits: Tensor, mask: Tensor, *, class_weights: Tensor | None = None, gamma: float = 2.0
) -> Tensor:
    """Mean cross-entropy, each pixel times ``(1 - p)^gamma`` with p the probability of its class; 0 without pixels.

    Lin et al. 2017 (arXiv:1708.02002), section 3.2, with a softmax over the classes.

    Args:
        logits: (B, K, H, W) floating point; sums are taken in at least float32.
        mask: (B, H, W) uint8: the class in 0..K-1, or 255.
        class_weights: (K,) factors of the pixels of each class; the mean is weighted by them.
        gamma: At least 1, for a gradient at p = 1.
    """
    return pixel_focal_sums(logits, mask, class_weights=class_weights, gamma=gamma).value()


def dice_sums(logits: Tensor, mask: Tensor) -> LossSums:
    """The sums of `dice_loss`: over pixels, for each class."""
    probabilities = _at_least_float32(logits).softmax(dim=1)
    classes = torch.arange(logits.shape[1], device=mask.device)[:, None, None]
    is_class = mask[:, None] == classes  # (B, K, H, W)
    intersection = torch.where(is_class, probabilities, 0).sum(dim=(0, 2, 3))
    predicted = torch.where((mask != IGNORE_INDEX)[:, None], probabilities, 0).sum(dim=(0, 2, 3))
    num_pixels = is_class.sum(dim=(0, 2, 3))
    areas = predicted + num_pixels
    return LossSums(areas - 2 * intersection, areas, num_pixels)


@with_sums(dice_sums)
def dice_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """1 minus the soft Dice coefficient, averaged over the classes that occur in the batch; 0 where none does.

    Milletari et al. 2016 (arXiv:1606.04797), section 3, but with plain sums in the denominator, not sums of squares.

    Args:
        logits: (B, K, H, W) floating point; sums are taken in at least float32.
        mask: (B, H, W) uint8: the class in 0..K-1, or 255.
    """
    return dice_sums(logits, mask).value()


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits if logits.dtype in (torch.float32, torch.float64) else logits.float()


def _pixel_weights(mask: Tensor, weights: Tensor) -> Tensor:
    """The weight of each pixel, (B, H, W); 0 where it is ignored."""
    return torch.cat([weights, weights.new_zeros(1)])[mask.long().clamp(max=len(weights))]


def _total_weight(mask: Tensor, weights: Tensor | None, dtype: torch.dtype) -> Tensor:
    """The sum of the weights of all pixels."""
    return (mask != IGNORE_INDEX).sum().to(dtype) if weights is None else _pixel_weights(mask, weights).sum()

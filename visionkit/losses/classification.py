"""Losses of classification, with one class per image or several."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from visionkit.losses.sums import LossSums, with_sums

__all__ = ["binary_cross_entropy", "cross_entropy"]


def cross_entropy_sums(
    logits: Tensor, labels: Tensor, *, class_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> LossSums:
    """The sums of `cross_entropy`: over images, of losses and of weights."""
    weights = None if class_weights is None else class_weights.to(logits.dtype)
    total = F.cross_entropy(logits, labels, weight=weights, label_smoothing=label_smoothing, reduction="sum")
    return LossSums(total, torch.tensor(len(labels), device=total.device) if weights is None else weights[labels].sum())


@with_sums(cross_entropy_sums)
def cross_entropy(
    logits: Tensor, labels: Tensor, *, class_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy, a scalar.

    Args:
        logits: (B, K) floating point.
        labels: (B,) int64 in 0..K-1; or (B, K) floating point, the share of each class in an image, which sum to 1.
        class_weights: (K,) factors of the samples of each class; the mean is weighted by them. With shares they are
            factors of the terms of a class, and the mean is one over images, as `torch.nn.functional.cross_entropy`.
        label_smoothing: Fraction of each target spread evenly over all classes (Szegedy et al. 2016,
            arXiv:1512.00567, section 7).
    """
    if labels.is_floating_point():  # shares lose digits in bfloat16
        dtype = torch.promote_types(logits.dtype, labels.dtype)
        logits, labels = logits.to(dtype), labels.to(dtype)
    weights = None if class_weights is None else class_weights.to(logits.dtype)
    return F.cross_entropy(logits, labels, weight=weights, label_smoothing=label_smoothing)


def binary_cross_entropy_sums(
    logits: Tensor, label_sets: Tensor, *, class_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> LossSums:
    """The sums of `binary_cross_entropy`: over images and classes."""
    mean = binary_cross_entropy(logits, label_sets, class_weights=class_weights, label_smoothing=label_smoothing)
    return LossSums.of_mean(mean, logits.numel())


@with_sums(binary_cross_entropy_sums)
def binary_cross_entropy(
    logits: Tensor, label_sets: Tensor, *, class_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Mean over images and classes of the cross-entropy of a sigmoid per class, a scalar.

    Args:
        logits: (B, K) floating point.
        label_sets: (B, K) uint8: 1 for the classes that an image has, else 0; or floating point, shares from 0 to 1.
        class_weights: (K,) factors of the loss of the images that have the class.
        label_smoothing: Targets are this times 0.5, plus 1 minus this times 0 or 1.
    """
    if label_sets.is_floating_point():
        logits = logits.to(torch.promote_types(logits.dtype, label_sets.dtype))
    targets = label_sets.to(logits.dtype) * (1 - label_smoothing) + label_smoothing / 2
    weights = None if class_weights is None else class_weights.to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)

"""Losses of classification, with one class per image or several."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

__all__ = ["binary_cross_entropy", "cross_entropy"]


def cross_entropy(
    logits: Tensor, labels: Tensor, *, class_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy, a scalar.

    Args:
        logits: (B, K) floating point.
        labels: (B,) int64 in 0..K-1.
        class_weights: (K,) factors of the samples of each class; the mean is weighted by them.
        label_smoothing: Fraction of each target spread evenly over all classes (Szegedy et al. 2016,
            arXiv:1512.00567, section 7).
    """
    weights = None if class_weights is None else class_weights.to(logits.dtype)
    return F.cross_entropy(logits, labels, weight=weights, label_smoothing=label_smoothing)


def binary_cross_entropy(
    logits: Tensor, label_sets: Tensor, *, class_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Mean over images and classes of the cross-entropy of a sigmoid per class, a scalar.

    Args:
        logits: (B, K) floating point.
        label_sets: (B, K) uint8: 1 for the classes that an image has, else 0.
        class_weights: (K,) factors of the loss of the images that have the class.
        label_smoothing: Targets are this times 0.5, plus 1 minus this times 0 or 1.
    """
    targets = label_sets.to(logits.dtype) * (1 - label_smoothing) + label_smoothing / 2
    weights = None if class_weights is None else class_weights.to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)

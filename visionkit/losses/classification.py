"""Losses of classification."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

__all__ = ["cross_entropy"]


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

"""The focal loss of dense detectors, in few passes over their many logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["focal_loss"]


def focal_loss(logits: Tensor, labels: Tensor, *, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Focal loss of independent sigmoids, summed over each image (Lin et al. 2017, arXiv:1708.02002, equation 5).

    Nearly all targets are 0, so the loss and its gradient are found for all as if they were, and then set right
    at the few that are 1.

    Args:
        logits: (B, A, K) floating point; the sum is taken in at least float32.
        labels: (B, A) int64: the class in 0..K-1, -1 for background, -2 for a place that does not count.
        alpha: The weight of targets that are 1; the others' is ``1 - alpha``.
        gamma: How much easy examples are weighted down.

    Returns:
        (B,) sums.
    """
    sums: Tensor = _FocalLoss.apply(logits, labels, alpha, gamma)  # type: ignore[no-untyped-call]
    return sums


class _FocalLoss(torch.autograd.Function):
    """The gradient is made along with the loss, while its parts are at hand."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, alpha: float, gamma: float) -> Tensor:
        x = logits if logits.dtype in (torch.float32, torch.float64) else logits.float()
        counts = (labels != -2).to(x.dtype)  # (B, A)
        label = labels.clamp(min=0)[..., None]
        at_label = x.gather(2, label)  # (B, A, 1)
        loss, gradient = _negative(x, 1 - alpha, gamma)
        sums = loss.sum(dim=2)
        positive = (labels >= 0)[..., None]
        wrong, _ = _negative(at_label, 1 - alpha, gamma)
        right, slope = _negative(-at_label, alpha, gamma)
        sums = (sums + torch.where(positive, right - wrong, 0)[..., 0]) * counts
        gradient.scatter_(2, label, torch.where(positive, -slope, gradient.gather(2, label)))
        ctx.save_for_backward(gradient.to(logits.dtype), counts)
        return sums.sum(dim=1)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        gradient, counts = ctx.saved_tensors
        return gradient * (outputs[0][:, None] * counts).to(gradient.dtype)[..., None], None, None, None


def _negative(x: Tensor, weight: float, gamma: float) -> tuple[Tensor, Tensor]:
    """``-weight p^gamma log(1 - p)`` with ``p = sigmoid(x)``, a target of 0, and its derivative."""
    p = x.sigmoid()
    surprise = F.softplus(x)
    focus = (p * p if gamma == 2 else p**gamma) * weight
    loss = focus * surprise
    derivative = surprise.mul_(1 - p).mul_(gamma).add_(p).mul_(focus)
    return loss, derivative

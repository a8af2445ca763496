"""What of a loss adds up over images, so that the loss of a split depends neither on batches nor on processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

__all__ = ["LossSums", "sums_function", "with_sums"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class LossSums:
    """A loss as quotients of sums over images; the sums of several batches give the loss of all their images as one.

    The loss is the mean of the quotients of which ``present`` is above 0. A mean over pixels is one quotient; a loss
    averaged over the classes that occur has one for each class.

    Attributes:
        numerators: () or (S,) floating point.
        denominators: Of the same shape; one of 0 counts as 1.
        present: (S,), above 0 where a quotient takes part; None for a single one, which always does.
    """

    numerators: Tensor
    denominators: Tensor
    present: Tensor | None = None

    @classmethod
    def of_mean(cls, mean: Tensor, count: Tensor | int) -> LossSums:
        """The sums of a mean, a scalar, over ``count`` things; 0 of none, whatever their mean."""
        counts = torch.as_tensor(count, device=mean.device).to(_sum_dtype(mean))
        return cls(torch.where(counts > 0, mean.to(counts.dtype) * counts, 0), counts)

    @classmethod
    def of_totals(cls, totals: Tensor) -> LossSums:
        """The loss of totals (3, ...), added up from `stacked`."""
        return cls(totals[0], totals[1], totals[2])

    def stacked(self) -> Tensor:
        """Numerators, denominators and ``present``, (3, ...), which are to be added up over batches."""
        present = torch.ones_like(self.numerators) if self.present is None else self.present
        return torch.stack(
            [each.detach().to(_sum_dtype(each)) for each in (self.numerators, self.denominators, present)]
        )

    def scaled(self, factor: float) -> LossSums:
        """The sums of the loss times a factor."""
        return LossSums(self.numerators * factor, self.denominators, self.present)

    def value(self) -> Tensor:
        """The loss, a scalar."""
        quotients = self.numerators / torch.where(self.denominators > 0, self.denominators, 1)
        if self.present is None:
            return quotients
        present = self.present > 0
        return torch.where(present, quotients, 0).sum() / present.sum().clamp(min=1)


def with_sums(sums: Callable[..., LossSums]) -> Callable[[F], F]:
    """Decorator of a loss of a batch: says which function of the same arguments gives its `LossSums`."""

    def mark(function: F) -> F:
        setattr(function, "sums", sums)  # noqa: B010
        return function

    return mark


def sums_function(function: Callable[..., Any]) -> Callable[..., LossSums] | None:
    """The function that `with_sums` has named; None without one."""
    return getattr(function, "sums", None)


def _sum_dtype(value: Tensor) -> torch.dtype:
    """Double precision, which Apple's GPUs lack."""
    return torch.float32 if value.device.type == "mps" else torch.float64

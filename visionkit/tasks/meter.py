"""The mean of the losses over a split, without waiting for the device at each batch."""

import torch
from torch import Tensor

__all__ = ["LossMeter"]

WAITING_BATCHES = 256


class LossMeter:
    """Means over images of named losses; a batch costs an append."""

    def __init__(self) -> None:
        self._waiting: list[tuple[dict[str, Tensor], int]] = []
        self._sums: dict[str, Tensor] = {}
        self._images = 0

    @property
    def last(self) -> Tensor | None:
        """The newest total loss, a scalar that may still be computed; None before the first batch."""
        return self._waiting[-1][0]["loss"] if self._waiting else None

    def update(self, losses: dict[str, Tensor], images: int) -> None:
        """Take one batch in.

        Args:
            losses: Scalars that are means over the batch.
            images: The size of the batch.
        """
        if len(self._waiting) >= WAITING_BATCHES:
            self._flush()
        self._waiting.append(({name: loss.detach() for name, loss in losses.items()}, images))

    def means(self) -> dict[str, Tensor]:
        """Each loss, a scalar; empty before the first batch."""
        self._flush()
        return {name: total / self._images for name, total in self._sums.items()}

    def reset(self) -> None:
        """Forget every batch."""
        self._waiting.clear()
        self._sums.clear()
        self._images = 0

    def _flush(self) -> None:
        if not self._waiting:
            return
        for name in self._waiting[0][0]:
            losses = torch.stack([batch[name].float() for batch, _ in self._waiting])  # (batches,)
            images = torch.tensor([float(n) for _, n in self._waiting], device=losses.device)
            total = (losses * images).sum()
            self._sums[name] = self._sums[name] + total if name in self._sums else total
        self._images += sum(n for _, n in self._waiting)
        self._waiting.clear()

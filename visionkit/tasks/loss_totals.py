"""The losses of an evaluated split, from the sums of its batches."""

from collections.abc import Mapping

import torch
from torch import Tensor

from visionkit.distributed.comm import gather_objects
from visionkit.losses.sums import LossSums

__all__ = ["LossTotals"]


class LossTotals:
    """Named losses of all images of a split, as if they were one batch, on any number of batches and processes."""

    def __init__(self) -> None:
        self._totals: dict[str, Tensor] = {}

    def update(self, losses: Mapping[str, LossSums]) -> None:
        """Add one batch."""
        for name, sums in losses.items():
            stacked = sums.stacked()
            self._totals[name] = self._totals[name] + stacked if name in self._totals else stacked

    def gather(self) -> None:
        """Add, in the first process, the sums of all other processes."""
        states = gather_objects({name: total.cpu() for name, total in self._totals.items()})
        self._totals = {name: states[0][name] for name in states[0]}
        for state in states[1:]:
            for name, total in state.items():
                self._totals[name] = self._totals[name] + total if name in self._totals else total

    def means(self) -> dict[str, Tensor]:
        """Each loss, a scalar, and their sum as ``loss``; empty before the first batch."""
        losses = {name: LossSums.of_totals(total).value() for name, total in self._totals.items()}
        return {**losses, "loss": torch.stack(list(losses.values())).sum()} if losses else {}

    def reset(self) -> None:
        """Discard all batches."""
        self._totals.clear()

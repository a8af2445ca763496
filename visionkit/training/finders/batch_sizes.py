"""The result of ``find batch``, as a table and as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from visionkit.report.tables import Grid
from visionkit.training.finders.batch_search import StepCost

__all__ = ["BatchSizes", "format_bytes"]


@dataclass(frozen=True, repr=False)
class BatchSizes:
    """The sizes of a batch that were tried, and the one to take.

    Attributes:
        suggestion: ``recipe.batch_size``, over all devices.
        costs: One per size that was tried, on one device.
        estimates: Bytes of a step by the arithmetic of ``inspect``, by size; without sizes where it says nothing.
        devices: Those that share a batch.
        device: Name of the device.
        precision: Of the steps.
        free: Bytes that were free at the beginning; None if unknown.
        by: ``memory`` or ``speed``.
        ended_by: Why no larger size is suggested.
        batch_size: That of the recipe.
        lr: That of the recipe.
    """

    suggestion: int
    costs: Sequence[StepCost]
    estimates: Mapping[int, int]
    devices: int
    device: str
    precision: str
    free: int | None
    by: str
    ended_by: str
    batch_size: int
    lr: float

    def __repr__(self) -> str:
        """In one line, as in a notebook."""
        return f"BatchSizes({self.word}, by {self.by}, {len(self.costs)} sizes tried)"

    @property
    def word(self) -> str:
        """The suggestion as a word of a command."""
        return f"recipe.batch_size={self.suggestion}"

    @property
    def scaled_lr(self) -> float:
        """The recipe's rate for the suggestion by the linear rule (Goyal et al. 2017, section 2.1)."""
        return self.lr * self.suggestion / self.batch_size

    def to_json(self) -> dict[str, Any]:
        """Plain values of everything."""
        return {
            "suggestion": self.suggestion,
            "word": self.word,
            "by": self.by,
            "ended_by": self.ended_by,
            "device": self.device,
            "devices": self.devices,
            "precision": self.precision,
            "free_bytes": self.free,
            "sizes": [self._plain(cost) for cost in self._sorted],
            "recipe": {"batch_size": self.batch_size, "lr": self.lr},
            "lr_by_linear_rule": self.scaled_lr,
        }

    def grid(self) -> Grid:
        """A row per size, the smallest first."""
        rows = []
        for cost in self._sorted:
            memory = cost.memory or self.estimates.get(cost.size)
            time = ["does not fit", "-"]
            if cost.seconds is not None:
                time = [_three(1e3 * cost.seconds), _three(cost.speed)]
            rows.append([str(cost.size), *time, "-" if memory is None else format_bytes(memory)])
        free = "" if self.free is None else f", {format_bytes(self.free)} free"
        title = f"{self.device}, precision {self.precision}{free}"
        measured = any(cost.memory for cost in self.costs)
        notes = [
            "A step is forward, backward and the optimizer's, on one batch of training images that lies in memory; "
            f"memory is {'the most that was allocated' if measured else 'by the arithmetic of inspect'}."
        ]
        headings = ["batch", "ms/step", "images/s", "memory"]
        return Grid(title, headings, rows, [True] * 4, notes=notes, elsewhere="format=json")

    def lines(self) -> list[str]:
        """What to paste, why, and the rate that goes with it."""
        shared = f", {self.suggestion // self.devices} on each of {self.devices} devices" if self.devices > 1 else ""
        found = [f"{self.word}   ({self.ended_by}{shared})"]
        if self.suggestion != self.batch_size:
            found.append(
                f"The recipe has recipe.batch_size={self.batch_size} with recipe.lr={self.lr:g}. With another batch "
                f"the rate of SGD grows in proportion (Goyal et al. 2017): recipe.lr={self.scaled_lr:.3g}; or measure "
                f"it: find lr {self.word}"
            )
        return found

    @property
    def _sorted(self) -> list[StepCost]:
        return sorted(self.costs, key=lambda cost: cost.size)

    def _plain(self, cost: StepCost) -> dict[str, Any]:
        fits = cost.seconds is not None
        return {
            "batch_size": cost.size,
            "fits": fits,
            "ms_per_step": round(1e3 * cost.seconds, 3) if cost.seconds is not None else None,
            "images_per_second": round(cost.speed, 2) if fits else None,
            "memory_bytes": cost.memory,
            "estimated_bytes": self.estimates.get(cost.size),
        }


def format_bytes(count: float) -> str:
    """Such as ``1.5 GiB`` or ``120 MiB``."""
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"


def _three(value: float) -> str:
    """With three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

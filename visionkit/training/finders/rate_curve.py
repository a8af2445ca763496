"""The curve of a learning rate range test, and the rate that is read from it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["DIVERGED", "RULE", "RateCurve", "suggest_index", "read_curve", "smooth"]

DIVERGED = 4.0
"""The multiple of the lowest smoothed loss from which on a loss counts as diverged."""

_SMOOTHING = 0.15
"""Standard deviation of the smoothing in decades of the rate."""


_SHARE_OF_FALL = 0.99
RULE = f"the lowest rate with {100 * _SHARE_OF_FALL:.0f} % of the fall of the smoothed loss"
"""Of the rules that tools/check_find_lr.py compares with grids of trainings the nearest to their best (figures in
docs/find_lr.json): the steepest place, or a tenth of the rate of the lowest loss, are too low for the peak of a
schedule with a warm-up, and the lowest place itself may lie anywhere in a flat valley."""

_LEAST_GAIN = 0.02
"""The share of the first smoothed loss by which the lowest must lie below it."""
_FEWEST = 10
"""Steps before the loss diverges, for a curve that says anything."""


def smooth(rates: Sequence[float], losses: Sequence[float]) -> list[float]:
    """Losses as means weighted by a Gaussian over the logarithm of the rate.

    Unlike a running mean it does not lag behind, so that the slopes lie where they are.

    Args:
        rates: Ascending, a constant factor apart.
        losses: Finite, one per rate.
    """
    places = np.log10(np.asarray(rates))
    weights = np.exp(-0.5 * ((places[:, None] - places[None, :]) / _SMOOTHING) ** 2)
    smoothed: list[float] = ((weights @ np.asarray(losses)) / weights.sum(axis=1)).tolist()
    return smoothed


@dataclass(frozen=True, repr=False)
class RateCurve:
    """The curve of a range test.

    Attributes:
        suggestion: The rate to take for ``recipe.lr``.
        rates: Ascending.
        losses: The loss of a training batch after a step with each rate.
        smoothed: The same, see `smooth`.
        diverged: Whether the loss diverged before the end of the range.
        recipe_lr: The rate of the recipe.
        title: Network and data.
        batch_size: Of the recipe.
        accumulate: Of the recipe.
        notes: What is to be said of it.
        adamw_lr: Of a recipe whose other parameters AdamW trains (muon), their rate; None in others.
    """

    suggestion: float
    rates: Sequence[float]
    losses: Sequence[float]
    smoothed: Sequence[float]
    diverged: bool
    recipe_lr: float
    title: str
    batch_size: int
    accumulate: int
    notes: Sequence[str] = ()
    adamw_lr: float | None = None

    def __repr__(self) -> str:
        """In one line, as in a notebook."""
        return f"RateCurve({self.word}, {self.title}, {len(self.rates)} steps)"

    @property
    def word(self) -> str:
        """The suggestion as a word of a command."""
        word = f"recipe.lr={self.suggestion:.2g}"
        if self.adamw_lr is None:
            return word
        return f"{word} recipe.optimizer.adamw_lr={self.adamw_lr * self.suggestion / self.recipe_lr:.2g}"

    def to_json(self) -> dict[str, Any]:
        """Plain values of everything."""
        return {
            "suggestion": float(f"{self.suggestion:.2g}"),
            "word": self.word,
            "rule": RULE,
            "diverged": self.diverged,
            "network_and_data": self.title,
            "recipe": {"lr": self.recipe_lr, "batch_size": self.batch_size, "accumulate": self.accumulate},
            "rates": list(self.rates),
            "losses": list(self.losses),
            "smoothed": list(self.smoothed),
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """What to paste, and what it is read from."""
        return [f"{self.word}   ({RULE}; the recipe has {self.recipe_lr:g})", *self.notes]

    def draw(self, path: str | os.PathLike[str]) -> None:
        """Write the curve with the suggestion as a PNG file."""
        from visionkit.report.plots.rate_curve import RatePlot, plot_rate_curve

        plot = RatePlot(
            self.rates, self.losses, self.smoothed, self.suggestion, self.recipe_lr, self.title,
            self.diverged,
        )  # fmt: skip
        plot_rate_curve(plot, Path(path))


def read_curve(
    rates: Sequence[float],
    losses: Sequence[float],
    *,
    low: float,
    high: float,
    diverged: bool,
    recipe_lr: float,
    title: str,
    batch_size: int,
    accumulate: int,
) -> RateCurve | None:
    """Read the rate to take from a range test; None if no rate has lowered the loss.

    Args:
        rates: Ascending.
        losses: Finite, one per rate.
        low: The beginning of the range.
        high: The end of the range.
        diverged: Whether the loss diverged before it.
        recipe_lr: The rate of the recipe.
        title: Network and data.
        batch_size: Of the recipe.
        accumulate: Of the recipe.
    """
    if len(rates) < _FEWEST:
        return None
    smoothed = smooth(rates, losses)
    place = suggest_index(smoothed)
    if place is None:
        return None
    notes = []
    if rates[place] > 0.5 * high:
        notes.append(
            f"The loss still falls at the end of the range: a higher rate may be better. Try high={100 * high:g}"
        )
    if rates[place] < 10 * low:
        notes.append(f"The loss falls at the beginning of the range already. Try low={low / 1000:g}")
    return RateCurve(
        suggestion=rates[place], rates=rates, losses=losses, smoothed=smoothed,
        diverged=diverged, recipe_lr=recipe_lr, title=title, batch_size=batch_size,
        accumulate=accumulate, notes=notes,
    )  # fmt: skip


def suggest_index(smoothed: Sequence[float]) -> int | None:
    """The place of the rate to take, see `RULE`; None if no loss is clearly lower than at the beginning.

    Args:
        smoothed: As of `smooth`.
    """
    values = np.asarray(smoothed)
    start = float(values[0])
    fall = start - float(values.min())
    if fall <= _LEAST_GAIN * abs(start):
        return None
    return int((values <= start - _SHARE_OF_FALL * fall).argmax())

"""The plot of a sweep: the validation metric over the epochs, a line per run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from visionkit.metric_names import metric_title
from visionkit.report.palette import line_colours
from visionkit.report.plots.curves import percent
from visionkit.report.plots.figure import (
    in_default_style,
    save_figure,
    set_title,
    style_axes,
    style_epochs,
    style_values,
)
from visionkit.report.style import OTHERS, TEXT_COLOUR, shorten
from visionkit.text import count_of

__all__ = ["SweepCurve", "plot_sweep", "sweep_figure"]

_MAX_NAMED = 10
"""So many runs, the best ones, have a colour and a name of their own."""


@dataclass(frozen=True)
class SweepCurve:
    """The scores of a run.

    Attributes:
        name: What tells it from the others, such as ``lr=0.1``.
        points: Epoch and score.
    """

    name: str
    points: Sequence[tuple[float, float]]

    def best(self, mode: str) -> float:
        """The best finite score; the worst possible one if there is none."""
        scores = [score for _, score in self.points if math.isfinite(score)]
        worst = -math.inf if mode == "max" else math.inf
        return (max if mode == "max" else min)(scores, default=worst)


@in_default_style
def plot_sweep(curves: Sequence[SweepCurve], path: Path, *, monitor: str, mode: str) -> None:
    """Draw the scores of all runs over the epochs, the best run thick; without any finite score, draw nothing.

    Args:
        curves: One per run.
        path: The PNG file.
        monitor: What the scores are of, such as ``val/accuracy``.
        mode: ``max`` if a larger score is better, else ``min``.
    """
    if any(math.isfinite(curve.best(mode)) for curve in curves):
        save_figure(sweep_figure(curves, monitor=monitor, mode=mode), path)


def sweep_figure(curves: Sequence[SweepCurve], *, monitor: str, mode: str) -> Figure:
    """The figure that `plot_sweep` writes."""
    scale = percent(monitor)
    ranked = sorted(curves, key=lambda curve: curve.best(mode), reverse=mode == "max")
    ranked = [curve for curve in ranked if math.isfinite(curve.best(mode))]
    figure = Figure(figsize=(9.6, 4.8), layout="constrained")
    axes = figure.subplots()
    is_single = all(len(_finite(curve, scale)) == 1 for curve in ranked)
    handles = _draw_bars(axes, ranked, scale) if is_single else _draw_lines(axes, ranked, scale)
    for curve, handle in zip(ranked, handles, strict=False):
        handle.set_label(f"{shorten(curve.name, 44)}   {_score(curve.best(mode) * scale, scale)}")
    if len(ranked) > _MAX_NAMED:
        handles.append(
            Line2D(
                [], [], color=OTHERS, linewidth=6 if is_single else 1.5, label=f"{len(ranked) - _MAX_NAMED} more runs"
            )
        )
    style = "the best one first" if is_single else "the best one thick"
    set_title(
        axes, f"{metric_title(monitor)}{' (%)' if scale == 100.0 else ''} of {count_of(len(ranked), 'run')}, {style}"
    )
    figure.legend(
        handles=handles, title="best epoch's score", title_fontsize=9, alignment="left", frameon=False, fontsize=9,
        labelcolor=TEXT_COLOUR, loc="outside right upper",
    )  # fmt: skip
    return figure


def _finite(curve: SweepCurve, scale: float) -> list[tuple[float, float]]:
    """Epochs and scaled finite scores."""
    return [(epoch, score * scale) for epoch, score in curve.points if math.isfinite(score)]


def _draw_lines(axes: Axes, ranked: Sequence[SweepCurve], scale: float) -> list[Any]:
    """A line for each run; those that are named."""
    colours = line_colours(_MAX_NAMED)
    epochs: list[float] = []
    values: list[float] = []
    handles = []
    for rank, curve in enumerate(ranked):
        is_named = rank < _MAX_NAMED
        x, y = zip(*_finite(curve, scale), strict=True)
        epochs += x
        values += y
        line = axes.plot(
            x, y, color=colours[rank] if is_named else OTHERS, linewidth=3.0 if rank == 0 else 1.4, clip_on=False,
            zorder=4 - min(rank, 3) if is_named else 1, marker="o" if len(x) <= 30 and is_named else None,
            markersize=5 if rank == 0 else 3,
        )[0]  # fmt: skip
        if is_named:
            handles.append(line)
    style_axes(axes)
    style_epochs(axes, epochs)
    style_values(axes, values)
    return handles


def _draw_bars(axes: Axes, ranked: Sequence[SweepCurve], scale: float) -> list[Any]:
    """A bar for each run of one epoch, whose dots would lie on each other; those that are named."""
    values = [_finite(curve, scale)[0][1] for curve in ranked]
    colours = [*line_colours(_MAX_NAMED)[: len(ranked)], *[OTHERS] * (len(ranked) - _MAX_NAMED)]
    bars = axes.bar(range(len(ranked)), values, color=colours, width=0.7)
    style_axes(axes)
    style_values(axes, [0.0, *values])
    axes.set_xticks([])
    axes.set_xlabel("runs of one epoch", color=TEXT_COLOUR)
    return list(bars)[:_MAX_NAMED]


def _score(value: float, scale: float) -> str:
    return f"{value:.2f} %" if scale == 100.0 else f"{value:.4g}"

"""The plot of a sweep: the validation metric over the epochs, a line per run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from visionkit.metric_names import metric_title
from visionkit.report.palette import line_colours
from visionkit.report.plots.curves import percent
from visionkit.report.plots.figure import save_figure, set_title, style_axes, style_epochs, style_values
from visionkit.report.style import OTHERS, TEXT_COLOUR, shorten

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
    colours = line_colours(_MAX_NAMED)
    epochs: list[float] = []
    values: list[float] = []
    handles = []
    for rank, curve in enumerate(ranked):
        points = [(epoch, score * scale) for epoch, score in curve.points if math.isfinite(score)]
        is_named = rank < _MAX_NAMED
        colour = colours[rank] if is_named else OTHERS
        x, y = zip(*points, strict=True)
        epochs += x
        values += y
        line = axes.plot(
            x, y, color=colour, linewidth=3.0 if rank == 0 else 1.4, zorder=4 - min(rank, 3) if is_named else 1,
            marker="o" if len(x) <= 30 and is_named else None, markersize=5 if rank == 0 else 3,
        )[0]  # fmt: skip
        if is_named:
            line.set_label(f"{shorten(curve.name, 44)}   {_score(curve.best(mode) * scale, scale)}")
            handles.append(line)
    if len(ranked) > _MAX_NAMED:
        handles.append(Line2D([], [], color=OTHERS, label=f"{len(ranked) - _MAX_NAMED} more runs"))
    style_axes(axes)
    style_epochs(axes, epochs)
    style_values(axes, values)
    runs = "1 run" if len(ranked) == 1 else f"{len(ranked)} runs"
    set_title(axes, f"{metric_title(monitor)}{' (%)' if scale == 100.0 else ''} of {runs}, the best one thick")
    figure.legend(
        handles=handles, title="best epoch's score", title_fontsize=9, alignment="left", frameon=False, fontsize=9,
        labelcolor=TEXT_COLOUR, loc="outside right upper",
    )  # fmt: skip
    return figure


def _score(value: float, scale: float) -> str:
    return f"{value:.2f} %" if scale == 100.0 else f"{value:.4g}"

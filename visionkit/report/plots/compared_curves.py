"""The plot of several runs side by side: validation loss and metric over the epochs, a line per run in each."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

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

__all__ = ["compared_curves_figure", "plot_compared_curves"]

_MAX_NAMED = 10
_MAX_MARKERS = 30
_LINE_HEIGHT = 0.2  # of the legend, in inches
_MAX_LENGTH = 110

History = Sequence[Mapping[str, float]]
"""A row per epoch: ``epoch``, ``val/loss``, ..."""


@in_default_style
def plot_compared_curves(histories: Sequence[tuple[str, History]], path: Path, *, monitor: str) -> bool:
    """Draw the curves of several runs into one picture.

    Args:
        histories: Name and rows of each run.
        path: The PNG file.
        monitor: The monitored metric, such as ``val/accuracy``.

    Returns:
        Whether any run has an epoch; without any, nothing is drawn.
    """
    if not any(history for _, history in histories):
        return False
    save_figure(compared_curves_figure(histories, monitor=monitor), path)
    return True


def compared_curves_figure(histories: Sequence[tuple[str, History]], *, monitor: str) -> Figure:
    """The figure that `plot_compared_curves` writes; the first ten runs have colours and names of their own."""
    height = 4.0 + _LINE_HEIGHT * min(len(histories), _MAX_NAMED + 1)
    figure = Figure(figsize=(10.0, height), layout="constrained")
    loss_axes, metric_axes = figure.subplots(1, 2)
    _plot_lines(loss_axes, histories, "val/loss")
    _plot_lines(metric_axes, histories, monitor)
    lines, labels = metric_axes.get_legend_handles_labels()
    figure.legend(
        handles=lines, labels=labels, frameon=False, fontsize=9, labelcolor=TEXT_COLOUR, loc="outside lower left",
    )  # fmt: skip
    return figure


def _plot_lines(axes: Axes, histories: Sequence[tuple[str, History]], name: str) -> None:
    scale = percent(name)
    colours = line_colours(_MAX_NAMED)
    epochs: list[float] = []
    values: list[float] = []
    for number, (run, history) in enumerate(histories):
        points = [(row["epoch"], row.get(name, math.nan) * scale) for row in history]
        points = [point for point in points if math.isfinite(point[1])]
        x, y = [point[0] for point in points], [point[1] for point in points]
        is_named = number < _MAX_NAMED
        label = shorten(run, _MAX_LENGTH) if is_named else f"{len(histories) - _MAX_NAMED} more runs"
        axes.plot(
            x, y, color=colours[number] if is_named else OTHERS, linewidth=1.8 if is_named else 1.2,
            zorder=3 if is_named else 1, marker="o" if len(x) <= _MAX_MARKERS else None,
            markersize=3.5 if len(x) > 1 else 6, label=label if number <= _MAX_NAMED else None,
        )  # fmt: skip
        epochs += x
        values += y
    style_axes(axes)
    set_title(axes, metric_title(name) + (" (%)" if scale == 100.0 else ""))
    style_epochs(axes, epochs)
    style_values(axes, values)
    if not values:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no finite values", ha="center", color=TEXT_COLOUR, transform=axes.transAxes)

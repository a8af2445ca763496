"""The plot of precision over recall."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from visionkit.report.plots.figure import save_figure, style_axes
from visionkit.report.style import GRID_COLOUR, TEXT_COLOUR, shorten

__all__ = ["plot_precision_recall"]


COLOURS = matplotlib.colormaps["tab10"]


def plot_precision_recall(
    recall: Sequence[float],
    mean: Sequence[float | None],
    classes: Mapping[str, Sequence[float | None]],
    path: Path,
    *,
    title: str,
) -> None:
    """Draw precision over recall, with a line per class and a thick one for their mean.

    Args:
        recall: 0..1, increasing.
        mean: Precision in 0..1 at each recall; None if no class has objects.
        classes: The same for each class; None if it has no objects.
        path: The PNG file.
        title: The line above the plot.
    """
    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    axes = figure.subplots()
    curves = {name: np.asarray(values, dtype=float) for name, values in classes.items() if None not in values}
    for index, (name, values) in enumerate(curves.items()):
        colour, label = (COLOURS(index), shorten(name)) if len(curves) <= 10 else (GRID_COLOUR, None)
        axes.plot(recall, values, color=colour, linewidth=1.2, label=label)
    if curves:
        axes.plot(recall, np.asarray(mean, dtype=float), color=TEXT_COLOUR, linewidth=2.4, label="mean")
        axes.legend(frameon=False, fontsize=9, labelcolor=TEXT_COLOUR, loc="center left", bbox_to_anchor=(1, 0.5))
    else:
        axes.text(0.5, 0.5, "no objects", ha="center", color=TEXT_COLOUR)
    style_axes(axes)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("recall", color=TEXT_COLOUR)
    axes.set_ylabel("precision", color=TEXT_COLOUR)
    axes.set_title(title, loc="left", color=TEXT_COLOUR, fontsize=11)
    save_figure(figure, path)

"""The plot of precision over recall."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from visionkit.report.palette import line_colours
from visionkit.report.plots.figure import in_default_style, save_figure, set_title, style_axes
from visionkit.report.style import OTHERS, TEXT_COLOUR, shorten

__all__ = ["plot_precision_recall", "precision_recall_figure"]

_MAX_NAMED = 10


@in_default_style
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
    save_figure(precision_recall_figure(recall, mean, classes, title=title), path)


def precision_recall_figure(
    recall: Sequence[float],
    mean: Sequence[float | None],
    classes: Mapping[str, Sequence[float | None]],
    *,
    title: str,
) -> Figure:
    """The figure that `plot_precision_recall` writes; the legend has the mean precision of each line, its AP."""
    figure = Figure(figsize=(7.6, 4.8), layout="constrained")
    axes = figure.subplots()
    curves = {name: np.asarray(values, dtype=float) for name, values in classes.items() if None not in values}
    are_named = len(curves) <= _MAX_NAMED
    colours = line_colours(len(curves)) if are_named else [OTHERS] * len(curves)
    for index, ((name, values), colour) in enumerate(zip(curves.items(), colours, strict=True)):
        label = f"{shorten(name)}  {values.mean():.1%}" if are_named else None
        if not are_named and index == 0:
            label = f"each of {len(curves)} classes"
        axes.plot(recall, values, color=colour, linewidth=1.4 if are_named else 0.8, label=label)
    if curves:
        average = np.asarray(mean, dtype=float)
        if len(curves) > 1:
            label = f"mean  {average.mean():.1%}"
            axes.plot(recall, average, color=TEXT_COLOUR, linewidth=2.6, label=label)
        axes.legend(
            title="average precision", title_fontsize=9, alignment="left", frameon=False, fontsize=9,
            labelcolor=TEXT_COLOUR, loc="upper left", bbox_to_anchor=(1, 1),
        )  # fmt: skip
    else:
        axes.text(0.5, 0.5, "no objects", ha="center", color=TEXT_COLOUR)
    style_axes(axes)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("recall", color=TEXT_COLOUR)
    axes.set_ylabel("precision", color=TEXT_COLOUR)
    set_title(axes, title)
    return figure

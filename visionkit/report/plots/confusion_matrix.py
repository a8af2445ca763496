"""The plot of a confusion matrix."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from visionkit.metric_names import split_title
from visionkit.report.plots.figure import has_long_names, in_default_style, save_figure, set_title
from visionkit.report.style import ERROR_COLOUR, GRID_COLOUR, TEXT_COLOUR, shorten
from visionkit.text import count_of

__all__ = ["confusion_matrix_figure", "plot_confusion_matrix", "read_counts"]


BLUES = LinearSegmentedColormap.from_list("visionkit", ["#ffffff", "#cfe0f7", "#6fa3e0", "#1f5fbf", "#0c2f66"])


@in_default_style
def plot_confusion_matrix(
    counts: Sequence[Sequence[int]], class_names: Sequence[str], path: Path, *, split: str, unit: str = "images"
) -> None:
    """Draw a confusion matrix, coloured by fractions of the true class.

    Up to 20 classes, cells show the counts, of pixels the fractions. With more classes the diagonal would dominate: it
    is left out, and the most frequent confusions are listed beside the matrix.

    Args:
        counts: (K, K), a row per true class, a column per predicted class.
        class_names: The K classes.
        path: The PNG file.
        split: What the counts were made on: ``train``, ``val`` or ``test``.
        unit: What the counts are of: ``images`` or ``pixels``.
    """
    save_figure(confusion_matrix_figure(counts, class_names, split=split, unit=unit), path)


def confusion_matrix_figure(
    counts: Sequence[Sequence[int]], class_names: Sequence[str], *, split: str, unit: str
) -> Figure:
    """The figure that `plot_confusion_matrix` writes."""
    matrix = np.asarray(counts, dtype=np.int64)  # (K, K)
    fractions = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    num_classes = len(class_names)
    names = [shorten(name) for name in class_names]
    figure, axes, list_axes = _matrix_axes(num_classes)
    if num_classes <= 20:
        axes.imshow(fractions, cmap=BLUES, vmin=0, vmax=1)
        _write_cells(axes, matrix, fractions, unit=unit)
        ticks = range(num_classes)
    else:
        confusions = np.where(np.eye(num_classes, dtype=bool), np.nan, fractions)
        largest = max(float(np.nanmax(confusions)), 1e-9)
        image = axes.imshow(confusions, cmap=BLUES, vmin=0, vmax=largest)
        colorbar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02, format=lambda value, _: f"{100 * value:.3g}%")
        colorbar.outline.set_visible(False)
        colorbar.set_label("share of the true class (diagonal left out)", color=TEXT_COLOUR)
        ticks = range(0, num_classes, math.ceil(num_classes / 100))
        _list_confusions(list_axes, matrix, fractions, names)
    axes.set_xticks(ticks, [names[i] for i in ticks], rotation=90 if num_classes > 10 or has_long_names(names) else 0)
    axes.set_yticks(ticks, [names[i] for i in ticks])
    axes.tick_params(length=0, labelsize=9 if num_classes <= 20 else 5.5, colors=TEXT_COLOUR)
    axes.set_xlabel("predicted" if num_classes > 20 else "predicted; darker: more of the true class", color=TEXT_COLOUR)
    axes.set_ylabel("true", color=TEXT_COLOUR)
    for spine in axes.spines.values():
        spine.set_color(GRID_COLOUR)
    accuracy = np.trace(matrix) / max(matrix.sum(), 1)
    count = count_of(int(matrix.sum()), unit.removesuffix("s"))
    set_title(axes, f"{split_title(split)}: {count}, {accuracy:.2%} correct")
    return figure


def _write_cells(axes: Axes, matrix: Any, fractions: Any, *, unit: str) -> None:
    font_size = 9.5 if len(matrix) <= 12 else 7
    for row, column in zip(*np.nonzero(matrix), strict=True):
        dark = fractions[row, column] > 0.5
        is_faint_error = row != column and fractions[row, column] < 0.2  # red is legible on pale blue alone
        text = f"{matrix[row, column]:,}" if unit == "images" else f"{fractions[row, column]:.0%}".removeprefix("0%")
        axes.text(
            column, row, text, ha="center", va="center", fontsize=font_size,
            color="white" if dark else ERROR_COLOUR if is_faint_error else TEXT_COLOUR,
        )  # fmt: skip


def _matrix_axes(num_classes: int) -> tuple[Figure, Axes, Axes | None]:
    if num_classes <= 20:
        side = 2.2 + 0.46 * max(num_classes, 7)
        figure = Figure(figsize=(side, side), layout="constrained")
        return figure, figure.subplots(), None
    figure = Figure(figsize=(15, 10), layout="constrained")
    axes, list_axes = figure.subplots(1, 2, width_ratios=[5, 1.6])
    return figure, axes, list_axes


def _list_confusions(axes: Axes | None, matrix: Any, fractions: Any, names: Sequence[str]) -> None:
    if axes is None:
        return
    axes.set_axis_off()
    axes.set_title("most frequent mistakes", loc="left", color=TEXT_COLOUR, fontsize=11)
    off_diagonal = matrix * (1 - np.eye(len(names), dtype=np.int64))
    order = np.argsort(-off_diagonal, axis=None, kind="stable")[:25]
    for index, (row, column) in enumerate(zip(*np.unravel_index(order, matrix.shape), strict=True)):
        if off_diagonal[row, column] == 0:
            break
        text = f"{names[row]} → {names[column]}   {matrix[row, column]} ({fractions[row, column]:.0%})"
        axes.text(0, 0.98 - index * 0.036, text, fontsize=9, color=TEXT_COLOUR, va="top", transform=axes.transAxes)


def read_counts(table: Any) -> list[list[int]]:
    """The counts (K, K) of a confusion matrix table, whose rows begin with the name of the true class."""
    return [[int(cell or 0) for cell in row[1:]] for row in table.rows]

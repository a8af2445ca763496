"""The confusion matrix."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from visionkit.report.plots.figure import are_long, save_figure
from visionkit.report.style import FAINT, INK, WRONG, short

__all__ = ["plot_confusion_matrix", "read_counts"]


BLUES = LinearSegmentedColormap.from_list("visionkit", ["#ffffff", "#cfe0f7", "#6fa3e0", "#1f5fbf", "#0c2f66"])


def plot_confusion_matrix(
    counts: Sequence[Sequence[int]], class_names: Sequence[str], path: Path, *, unit: str = "images"
) -> None:
    """Draw how often each class was taken for each other, as a share of what is of the true class.

    Up to 20 classes the counts are written into the cells, or of pixels the shares. With more, the diagonal would hide
    the rest, so the mistakes alone set the colour scale, and the most frequent ones are listed beside the matrix.

    Args:
        counts: K rows (true class) of K numbers (predicted class).
        class_names: The K names.
        path: Where the PNG goes.
        unit: What was counted: ``images`` or ``pixels``.
    """
    matrix = np.asarray(counts, dtype=np.int64)  # (K, K)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    number = len(class_names)
    names = [short(name) for name in class_names]
    figure, axes, beside = _matrix_axes(number)
    if number <= 20:
        axes.imshow(shares, cmap=BLUES, vmin=0, vmax=1)
        size = 9.5 if number <= 12 else 7
        for row, column in zip(*np.nonzero(matrix), strict=True):
            dark = shares[row, column] > 0.5
            text = f"{matrix[row, column]}" if unit == "images" else f"{shares[row, column]:.0%}".removeprefix("0%")
            axes.text(
                column, row, text, ha="center", va="center", fontsize=size,
                color="white" if dark else INK if row == column else WRONG,
            )  # fmt: skip
        ticks = range(number)
    else:
        mistakes = np.where(np.eye(number, dtype=bool), np.nan, shares)
        image = axes.imshow(mistakes, cmap=BLUES, vmin=0, vmax=max(float(np.nanmax(mistakes)), 1e-9))
        bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02, format=lambda value, _: f"{value:.0%}")
        bar.outline.set_visible(False)
        bar.set_label("share of the true class (diagonal left out)", color=INK)
        ticks = range(0, number, math.ceil(number / 100))
        _list_mistakes(beside, matrix, shares, names)
    axes.set_xticks(ticks, [names[i] for i in ticks], rotation=90 if number > 10 or are_long(names) else 0)
    axes.set_yticks(ticks, [names[i] for i in ticks])
    axes.tick_params(length=0, labelsize=9 if number <= 20 else 5.5, colors=INK)
    axes.set_xlabel("predicted", color=INK)
    axes.set_ylabel("true", color=INK)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    accuracy = np.trace(matrix) / max(matrix.sum(), 1)
    axes.set_title(f"{matrix.sum():,} {unit}, {accuracy:.2%} correct", loc="left", color=INK, fontsize=11)
    save_figure(figure, path)


def _matrix_axes(number: int) -> tuple[Figure, Axes, Axes | None]:
    if number <= 20:
        side = 2.2 + 0.46 * max(number, 4)
        figure = Figure(figsize=(side, side), layout="constrained")
        return figure, figure.subplots(), None
    figure = Figure(figsize=(15, 10), layout="constrained")
    axes, beside = figure.subplots(1, 2, width_ratios=[5, 1.6])
    return figure, axes, beside


def _list_mistakes(axes: Axes | None, matrix: Any, shares: Any, names: Sequence[str]) -> None:
    if axes is None:
        return
    axes.set_axis_off()
    axes.set_title("most frequent mistakes", loc="left", color=INK, fontsize=11)
    off_diagonal = matrix * (1 - np.eye(len(names), dtype=np.int64))
    order = np.argsort(-off_diagonal, axis=None, kind="stable")[:25]
    for line, (row, column) in enumerate(zip(*np.unravel_index(order, matrix.shape), strict=True)):
        if off_diagonal[row, column] == 0:
            break
        text = f"{names[row]} → {names[column]}   {matrix[row, column]} ({shares[row, column]:.0%})"
        axes.text(0, 0.98 - line * 0.036, text, fontsize=9, color=INK, va="top", transform=axes.transAxes)


def read_counts(table: Any) -> list[list[int]]:
    """The counts in a table of a confusion matrix, whose rows begin with the name of the true class."""
    return [[int(cell or 0) for cell in row[1:]] for row in table.rows]

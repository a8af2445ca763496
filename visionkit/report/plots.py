"""Pictures of a run as PNG files. Figures are made by matplotlib's objects; no global state is touched."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from visionkit.files import write_atomic
from visionkit.report.style import FAINT, INK, TRAIN, VALIDATION, WRONG, short, words

__all__ = ["plot_confusion_matrix", "plot_curves", "plot_images", "plot_precision_recall", "plot_predictions"]

BLUES = LinearSegmentedColormap.from_list("visionkit", ["#ffffff", "#cfe0f7", "#6fa3e0", "#1f5fbf", "#0c2f66"])
COLOURS = matplotlib.colormaps["tab10"]
PERCENT = {"accuracy", "top5_accuracy", "f1_macro"}


def plot_curves(history: Sequence[Mapping[str, float]], path: Path, *, monitor: str) -> None:
    """Draw loss and the deciding metric over the epochs, training and validation, the best epoch marked.

    Args:
        history: A row per epoch: ``epoch``, ``train/loss``, ``val/loss``, ...
        path: Where the PNG goes.
        monitor: Such as ``val/accuracy``.
    """
    if not history:
        return
    metric = monitor.split("/", 1)[1]
    figure = Figure(figsize=(9.6, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, name in ((left, "loss"), (right, metric)):
        scale = 100.0 if name in PERCENT else 1.0
        for split, colour in (("train", TRAIN), ("val", VALIDATION)):
            points = [(row["epoch"], row[f"{split}/{name}"] * scale) for row in history if f"{split}/{name}" in row]
            if points:
                x, y = zip(*points, strict=True)
                label = "validation" if split == "val" else "training"
                marker = "o" if len(points) <= 30 else None
                axes.plot(x, y, color=colour, linewidth=1.8, marker=marker, markersize=3.5, label=label)
        _style(axes)
        axes.set_title(words(name) + (" (%)" if scale == 100.0 else ""), loc="left", color=INK, fontsize=11)
        axes.set_xlabel("epoch", color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    scored = [row for row in history if math.isfinite(row.get(monitor, math.nan))]
    if scored:
        scale = 100.0 if metric in PERCENT else 1.0
        best = max(scored, key=lambda row: row[monitor])
        shown = f"{best[monitor] * scale:.{2 if scale == 100.0 else 3}f}"
        right.plot(
            best["epoch"], best[monitor] * scale, "o", markersize=9, markerfacecolor="none", markeredgecolor=WRONG,
            markeredgewidth=1.6, label=f"best: {shown} in epoch {best['epoch']:.0f}",
        )  # fmt: skip
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=9)
    _save(figure, path)


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
    axes.set_xticks(ticks, [names[i] for i in ticks], rotation=90 if number > 10 or _long(names) else 0)
    axes.set_yticks(ticks, [names[i] for i in ticks])
    axes.tick_params(length=0, labelsize=9 if number <= 20 else 5.5, colors=INK)
    axes.set_xlabel("predicted", color=INK)
    axes.set_ylabel("true", color=INK)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    accuracy = np.trace(matrix) / max(matrix.sum(), 1)
    axes.set_title(f"{matrix.sum():,} {unit}, {accuracy:.2%} correct", loc="left", color=INK, fontsize=11)
    _save(figure, path)


def plot_images(images: Any, labels: Sequence[int], class_names: Sequence[str], path: Path, *, title: str) -> None:
    """Draw images with the class each of them has.

    Args:
        images: (N, C, H, W) uint8, a tensor or an array.
        labels: N class ids.
        class_names: Their names.
        path: Where the PNG goes.
        title: The line above.
    """
    captions = [(short(class_names[label], 16), INK) for label in labels]
    _save(_grid(images, captions, title), path)


def plot_predictions(
    images: Any,
    labels: Sequence[int],
    predicted: Sequence[int],
    scores: Sequence[float],
    class_names: Sequence[str],
    path: Path,
    *,
    title: str,
) -> None:
    """Draw images with the predicted class and its probability; a wrong one is framed and names the true class.

    Args:
        images: (N, C, H, W) uint8, a tensor or an array.
        labels: N true class ids.
        predicted: N predicted class ids.
        scores: N probabilities of the predicted class, 0..1.
        class_names: The names of the classes.
        path: Where the PNG goes.
        title: The line above.
    """
    captions = []
    for label, guess, score in zip(labels, predicted, scores, strict=True):
        right = label == guess
        text = f"{short(class_names[guess], 12)}  {score:.0%}"
        captions.append((text if right else f"{text}\nis {short(class_names[label], 12)}", INK if right else WRONG))
    wrong = sum(a != b for a, b in zip(labels, predicted, strict=True))
    _save(_grid(images, captions, f"{title}: {wrong} of {len(labels)} wrong"), path)


def plot_precision_recall(
    recall: Sequence[float],
    mean: Sequence[float | None],
    classes: Mapping[str, Sequence[float | None]],
    path: Path,
    *,
    title: str,
) -> None:
    """Draw precision over recall, a line per class and a thick one for their mean.

    Args:
        recall: 0..1, increasing.
        mean: As many values in 0..1; None where no class has objects.
        classes: The same for each class; None where it has no objects.
        path: Where the PNG goes.
        title: The line above.
    """
    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    axes = figure.subplots()
    there = {name: np.asarray(values, dtype=float) for name, values in classes.items() if None not in values}
    for place, (name, values) in enumerate(there.items()):
        colour, label = (COLOURS(place), short(name)) if len(there) <= 10 else (FAINT, None)
        axes.plot(recall, values, color=colour, linewidth=1.2, label=label)
    if there:
        axes.plot(recall, np.asarray(mean, dtype=float), color=INK, linewidth=2.4, label="mean")
        axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="center left", bbox_to_anchor=(1, 0.5))
    else:
        axes.text(0.5, 0.5, "no objects", ha="center", color=INK)
    _style(axes)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("recall", color=INK)
    axes.set_ylabel("precision", color=INK)
    axes.set_title(title, loc="left", color=INK, fontsize=11)
    _save(figure, path)


def _grid(images: Any, captions: Sequence[tuple[str, str]], title: str) -> Figure:
    """Images in rows of eight, laid out here in inches: axes for each would cost more than training a small net."""
    pixels = np.asarray(images)  # (N, C, H, W)
    columns = min(8, len(pixels))
    rows = math.ceil(len(pixels) / columns)
    across, gap, top = 1.2, 0.1, 0.4
    tall = across * pixels.shape[2] / pixels.shape[3]
    below = 0.42 if any("\n" in text for text, _ in captions) else 0.26
    width, height = (across + gap) * columns + gap, top + (tall + below) * rows
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.text(gap, height - top / 2, title, va="center", color=INK, fontsize=11)
    for place, (image, (text, colour)) in enumerate(zip(pixels, captions, strict=True)):
        left, upper = gap + place % columns * (across + gap), height - top - place // columns * (tall + below)
        shown = image[0] if image.shape[0] == 1 else np.moveaxis(image[:3], 0, -1)
        smooth = "nearest" if min(shown.shape[:2]) < 96 else "antialiased"
        extent = (left, left + across, upper - tall, upper)
        axes.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation=smooth, extent=extent)
        line, thick = (colour, 2.2) if colour == WRONG else (FAINT, 0.8)
        axes.add_patch(Rectangle((left, upper - tall), across, tall, fill=False, color=line, linewidth=thick))
        axes.text(left + across / 2, upper - tall - 0.05, text, ha="center", va="top", color=colour, fontsize=8)
    axes.set(xlim=(0, width), ylim=(0, height), aspect="auto")
    return figure


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


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, color=FAINT, labelsize=9)
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)


def _long(names: Sequence[str]) -> bool:
    return max(len(name) for name in names) > 4


def _save(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png")
    write_atomic(path, buffer.getvalue())

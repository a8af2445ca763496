"""The plot of loss and metric over the epochs."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from visionkit.report.plots.figure import save_figure, style_axes
from visionkit.report.style import ERROR_COLOUR, TEXT_COLOUR, TRAIN, VALIDATION, metric_title

__all__ = ["plot_curves"]


PERCENT_METRICS = {"accuracy", "top5_accuracy", "f1_macro", "f1_micro", "subset_accuracy"}


def plot_curves(history: Sequence[Mapping[str, float]], path: Path, *, monitor: str) -> None:
    """Draw loss and monitored metric over the epochs, of training and validation, with the best epoch marked.

    Args:
        history: A row per epoch: ``epoch``, ``train/loss``, ``val/loss``, ...
        path: The PNG file.
        monitor: The monitored metric, such as ``val/accuracy``.
    """
    if not history:
        return
    metric = monitor.split("/", 1)[1]
    figure = Figure(figsize=(9.6, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, name in ((left, "loss"), (right, metric)):
        scale = 100.0 if name in PERCENT_METRICS else 1.0
        for split, colour in (("train", TRAIN), ("val", VALIDATION)):
            points = [(row["epoch"], row[f"{split}/{name}"] * scale) for row in history if f"{split}/{name}" in row]
            if points:
                x, y = zip(*points, strict=True)
                label = "validation" if split == "val" else "training"
                marker = "o" if len(points) <= 30 else None
                axes.plot(x, y, color=colour, linewidth=1.8, marker=marker, markersize=3.5, label=label)
        style_axes(axes)
        axes.set_title(
            metric_title(name) + (" (%)" if scale == 100.0 else ""), loc="left", color=TEXT_COLOUR, fontsize=11
        )
        axes.set_xlabel("epoch", color=TEXT_COLOUR)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    scored = [row for row in history if math.isfinite(row.get(monitor, math.nan))]
    if scored:
        scale = 100.0 if metric in PERCENT_METRICS else 1.0
        best = max(scored, key=lambda row: row[monitor])
        best_text = f"{best[monitor] * scale:.{2 if scale == 100.0 else 3}f}"
        right.plot(
            best["epoch"], best[monitor] * scale, "o", markersize=9, markerfacecolor="none",
            markeredgecolor=ERROR_COLOUR, markeredgewidth=1.6, label=f"best: {best_text} in epoch {best['epoch']:.0f}",
        )  # fmt: skip
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=9)
    save_figure(figure, path)

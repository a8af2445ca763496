"""The plot of loss, metric and learning rate over the epochs."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from visionkit.metric_names import metric_title
from visionkit.report.plots.figure import (
    format_tick,
    in_default_style,
    save_figure,
    set_title,
    style_axes,
    style_epochs,
    style_values,
)
from visionkit.report.style import ERROR_COLOUR, TEXT_COLOUR, TRAIN, VALIDATION

__all__ = ["curves_figure", "percent", "plot_curves"]

_PERCENT_WORDS = {"accuracy", "f1", "map", "mar", "iou", "dice"}
_MAX_MARKERS = 30


@in_default_style
def plot_curves(history: Sequence[Mapping[str, float]], path: Path, *, monitor: str, mode: str = "max") -> None:
    """Draw loss, monitored metric and learning rate over the epochs, with the best epoch marked.

    Args:
        history: A row per epoch: ``epoch``, ``lr``, ``train/loss``, ``val/loss``, ...; without any, nothing is drawn.
        path: The PNG file.
        monitor: The monitored metric, such as ``val/accuracy``.
        mode: ``max`` if a larger metric is better, else ``min``.
    """
    if history:
        save_figure(curves_figure(history, monitor=monitor, mode=mode), path)


def curves_figure(history: Sequence[Mapping[str, float]], *, monitor: str, mode: str) -> Figure:
    """The figure that `plot_curves` writes."""
    metric = monitor.split("/", 1)[1]
    rates = _points(history, "lr", 1.0)
    panels = 2 + bool(rates)
    figure = Figure(figsize=(4.6 * panels, 3.8), layout="constrained")
    loss_axes, metric_axes, *rate_axes = figure.subplots(1, panels)
    _plot_splits(loss_axes, history, "loss")
    _plot_splits(metric_axes, history, metric)
    scale = percent(metric)
    scored = _points(history, monitor, scale)
    if len(history) == 1:
        _label_points(loss_axes)
        _label_points(metric_axes)
        for axes in rate_axes:
            _plot_rates(axes, rates)
            _label_points(axes)
        return figure
    if scored:
        epoch, value = (max if mode == "max" else min)(scored, key=lambda point: point[1])
        text = f"{value:.2f} %" if scale == 100.0 else f"{value:.4g}"
        metric_axes.plot(
            epoch, value, "o", markersize=11, markerfacecolor="none", markeredgecolor=ERROR_COLOUR, markeredgewidth=1.6,
            linestyle="none", clip_on=False, label=f"best: {text} in epoch {epoch:.0f}",
        )  # fmt: skip
    for axes in (loss_axes, metric_axes):
        if axes.lines:
            axes.legend(frameon=False, fontsize=9, labelcolor=TEXT_COLOUR)
    for axes in rate_axes:
        _plot_rates(axes, rates)
    return figure


def _label_points(axes: Axes) -> None:
    """Write beside the points of a single epoch what they are, the upper one's words above, the lower one's below."""
    points = [(np.asarray(line.get_xydata(), dtype=float)[0], line) for line in axes.lines]
    for rank, (point, line) in enumerate(sorted(points, key=lambda entry: -float(entry[0][1]))):
        axes.annotate(
            f"{line.get_label()}: {float(point[1]):.4g}", (float(point[0]), float(point[1])),
            xytext=(8, 2 if rank == 0 else -2), textcoords="offset points", va="bottom" if rank == 0 else "top",
            color=TEXT_COLOUR, fontsize=9,
        )  # fmt: skip


def percent(metric: str) -> float:
    """The factor by which a metric is drawn: 100 for shares, which are drawn in per cent, else 1."""
    words = metric.rsplit("/", 1)[-1].split("_")
    return 100.0 if _PERCENT_WORDS & set(words) and "loss" not in words else 1.0


def _points(history: Sequence[Mapping[str, float]], name: str, scale: float) -> list[tuple[float, float]]:
    """Epoch and value where there is a finite one."""
    points = [(row["epoch"], row.get(name, math.nan) * scale) for row in history]
    return [(epoch, value) for epoch, value in points if math.isfinite(value)]


def _plot_splits(axes: Axes, history: Sequence[Mapping[str, float]], name: str) -> None:
    scale, values = percent(name), []
    for split, label, colour in (("train", "train", TRAIN), ("val", "val", VALIDATION)):
        points = _points(history, f"{split}/{name}", scale)
        if points:
            _plot_line(axes, points, colour=colour, label=label)
            values += [value for _, value in points]
    style_axes(axes)
    set_title(axes, metric_title(name) + (" (%)" if scale == 100.0 else ""))
    style_epochs(axes, [row["epoch"] for row in history])
    style_values(axes, values)
    if len(history) == 1 and values:  # two numbers have no range of their own to be shown in
        top = max(values) if scale != 100.0 else max(100.0, *values)
        axes.set_ylim(min(0.0, 1.1 * min(values)), 1.1 * top if top > 0 else 1.0)
    if not values:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no finite values", ha="center", color=TEXT_COLOUR, transform=axes.transAxes)


def _plot_rates(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    _plot_line(axes, points, colour=TEXT_COLOUR, label="learning rate")
    style_axes(axes)
    values = [value for _, value in points]
    style_epochs(axes, [epoch for epoch, _ in points])
    is_log = _spans_decades(values)
    set_title(axes, f"learning rate at each epoch's end{' (log)' if is_log else ''}")
    if is_log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=8))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_tick(value, value)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        top = max(1.06 * max(values), 1e-12)
        style_values(axes, [0.0, top])
        axes.set_ylim(-0.02 * top, top)


def _spans_decades(values: Sequence[float]) -> bool:
    """Whether rates span two decades, apart from the first and last few, by which a schedule comes from or to zero."""
    positive = [value for value in values if value > 0]
    if len(positive) < len(values) or len(positive) < 3:
        return False
    low, high = np.quantile(positive, [0.1, 0.9])
    return bool(high >= 99 * low)


def _plot_line(axes: Axes, points: Sequence[tuple[float, float]], *, colour: str, label: str) -> None:
    epochs, values = zip(*points, strict=True)
    marker = "o" if len(points) <= _MAX_MARKERS else None
    size = 3.5 if len(points) > 1 else 6
    axes.plot(epochs, values, color=colour, linewidth=1.8, marker=marker, markersize=size, label=label, clip_on=False)

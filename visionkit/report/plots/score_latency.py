"""The plot of a benchmark: score against latency, a point per network and engine, named where it lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import Bbox

from visionkit.metric_names import metric_title
from visionkit.report.palette import line_colours
from visionkit.report.plots.curves import percent
from visionkit.report.plots.figure import in_default_style, save_figure, set_title, style_axes, style_values
from visionkit.report.style import GRID_COLOUR, TEXT_COLOUR, shorten
from visionkit.text import count_of

__all__ = ["ScorePoint", "plot_score_latency", "score_latency_figure"]

MAX_PANELS = 3
"""Sizes of batches that are drawn, the first ones."""

_MARKERS = {"eager": "o", "compile": "D", "onnx": "s", "onnx-int8": "^"}
_MARKER_SIZE = 8
_STEPS = (1, 2, 5)
_OFFSETS = [
    (0.0, 1.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0), (1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0), (0.0, 2.0),
    (0.0, -2.0), (1.0, 2.0), (1.0, -2.0), (-1.0, 2.0), (-1.0, -2.0), (0.0, 3.0), (0.0, -3.0),
]  # fmt: skip
"""Where a label may stand, the best place first: sides -1, 0 and 1 of the point, and lines above it."""

_LINE = 15.0
"""Between those lines, in points of print."""


@dataclass(frozen=True)
class ScorePoint:
    """A network by an engine.

    Attributes:
        network: Its name, one colour each.
        engine: The name of the engine, one shape each.
        batch: Images that are predicted together.
        milliseconds: Of a batch, the median.
        score: The task's metric.
    """

    network: str
    engine: str
    batch: int
    milliseconds: float
    score: float


@in_default_style
def plot_score_latency(points: Sequence[ScorePoint], path: Path, *, metric: str) -> bool:
    """Draw a panel for each size of batch.

    Args:
        points: What was measured.
        path: The PNG file.
        metric: What the scores are, such as ``val/accuracy``.

    Returns:
        Whether there is any point; without any, nothing is drawn.
    """
    if not points:
        return False
    save_figure(score_latency_figure(points, metric=metric), path)
    return True


def score_latency_figure(points: Sequence[ScorePoint], *, metric: str) -> Figure:
    """The figure that `plot_score_latency` writes."""
    batches = list(dict.fromkeys(point.batch for point in points))[:MAX_PANELS]
    names = list(dict.fromkeys(point.network for point in points))
    colours = dict(zip(names, line_colours(len(names)), strict=True))
    scale = percent(metric)
    figure = Figure(figsize=(2.0 + 5.2 * len(batches), 4.8), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(batches), sharey=True, squeeze=False)[0]
    for axes, batch in zip(panels, batches, strict=True):
        shown = [point for point in points if point.batch == batch]
        _draw_points(axes, shown, colours, scale)
        style_axes(axes)
        axes.grid(axis="x", color=GRID_COLOUR, linewidth=0.7)
        _style_milliseconds(axes, [point.milliseconds for point in shown])
        set_title(axes, f"{metric_title(metric)}{' (%)' if scale == 100.0 else ''}, {count_of(batch, 'image')} at once")
    style_values(panels[0], [point.score * scale for point in points])
    low, high = panels[0].get_ylim()
    margin = 0.12 * (high - low)
    panels[0].set_ylim(low - margin, high + margin)  # for labels above and below
    figure.draw_without_rendering()
    for axes, batch in zip(panels, batches, strict=True):
        _name_points(axes, [point for point in points if point.batch == batch], colours, scale)
    return figure


def _draw_points(axes: Axes, points: Sequence[ScorePoint], colours: dict[str, str], scale: float) -> None:
    """The points, those of a network joined by a line."""
    for network, colour in colours.items():
        mine = sorted((p for p in points if p.network == network), key=lambda point: point.milliseconds)
        axes.plot(
            [p.milliseconds for p in mine], [p.score * scale for p in mine], color=colour, linewidth=1.2, alpha=0.35
        )
        for point in mine:
            axes.plot(
                [point.milliseconds], [point.score * scale], color=colour, marker=_MARKERS.get(point.engine, "o"),
                markersize=_MARKER_SIZE, markeredgecolor="white", markeredgewidth=0.8, zorder=3,
            )  # fmt: skip


def _style_milliseconds(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5, and room for labels."""
    axes.set_xscale("log")
    low, high = min(values) / 1.6, max(values) * 1.6
    ticks = [step * 10.0**power for power in range(-4, 7) for step in _STEPS]
    ticks = [tick for tick in ticks if low <= tick <= high]
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("median milliseconds of a batch, faster to the left", color=TEXT_COLOUR)


def _name_points(axes: Axes, points: Sequence[ScorePoint], colours: dict[str, str], scale: float) -> None:
    """Write engines beside their points and networks beside their slowest, where they cover nothing."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    half = 0.6 * _MARKER_SIZE * figure.dpi / 72
    centres = [axes.transData.transform((p.milliseconds, p.score * scale)) for p in points]
    taken = [Bbox.from_extents(x - half, y - half, x + half, y + half) for x, y in centres]
    inside = axes.get_window_extent()
    slowest = [max((p for p in points if p.network == name), key=lambda p: p.milliseconds)
               for name in dict.fromkeys(p.network for p in points)]  # fmt: skip
    labels = [(p, p.engine, 8.5, "normal", TEXT_COLOUR) for p in sorted(points, key=lambda p: p.milliseconds)]
    labels += [(p, shorten(p.network, 28), 9.5, "bold", colours[p.network]) for p in slowest]
    for point, text, size, weight, colour in labels:
        label = axes.annotate(
            text, (point.milliseconds, point.score * scale), (0, 0), textcoords="offset points", fontsize=size,
            fontweight=weight, color=colour, va="center", annotation_clip=False,
        )  # fmt: skip
        boxes = [_place(label, dx, dy) for dx, dy in _OFFSETS]
        costs = [_covered(box, taken) + 2 * _outside(box, inside) for box in boxes]
        best = min(range(len(costs)), key=lambda index: (round(costs[index]), index))
        taken.append(_place(label, *_OFFSETS[best]))


def _place(label: Annotation, side: float, line: float) -> Bbox:
    """Put a label beside its point; the pixels that it takes."""
    label.set_horizontalalignment("center" if side == 0 else "left" if side > 0 else "right")
    label.set_position((side * _MARKER_SIZE, line * _LINE))
    box: Bbox = label.get_window_extent()
    return box


def _covered(box: Bbox, taken: Sequence[Bbox]) -> float:
    """Pixels of a box that others have taken."""
    shared = [Bbox.intersection(box, other) for other in taken]
    return float(sum(part.width * part.height for part in shared if part is not None))


def _outside(box: Bbox, inside: Bbox) -> float:
    """Pixels of a box outside of another."""
    part = Bbox.intersection(box, inside)
    return float(box.width * box.height - (0.0 if part is None else part.width * part.height))

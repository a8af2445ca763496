"""The picture of a data set: classes, sizes, and where and how large its objects are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from visionkit.report.plots.figure import in_default_style, save_figure, set_title, style_axes
from visionkit.report.style import ERROR_COLOUR, GRID_COLOUR, OTHERS, TEXT_COLOUR, TRAIN, VALIDATION, shorten

__all__ = ["DataSheet", "data_sheet_figure", "plot_data_sheet"]

_SPLIT_COLOURS = {"train": TRAIN, "val": VALIDATION, "test": "#e0982f"}
_MAX_CLASSES = 16
_MAX_POINTS = 5_000
_WIDE = 10
"""From which ratio of sides on the axes are logarithmic."""


@dataclass(frozen=True)
class DataSheet:
    """What is drawn of a data set; what is empty has no panel.

    Attributes:
        title: The name of the data set and the number of its images.
        class_names: The classes.
        class_counts: Images or objects of each class in each split, (K,).
        things: What is counted.
        sizes: Height and width of the images of each split, in pixels, (N, 2).
        input_size: Height and width to which they are resized.
        coverage: The share of the images of train whose objects cover each cell of a grid over the image, (H, W).
        sides: The root of the area of each object of train at the size of training, in pixels, (n,).
        is_taken: Whether some level of the head can take it, (n,); empty where that is not known.
        borders: The sides, in pixels, at which one level hands over to the next.
        per_image: The number of objects of each image of train, (N,).
        brightness: The mean grey value of each image, 0 to 255, (N,).
    """

    title: str
    class_names: Sequence[str] = ()
    class_counts: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    things: str = "images"
    sizes: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    input_size: tuple[int, int] = (0, 0)
    coverage: NDArray[np.float64] | None = None
    sides: NDArray[np.float64] | None = None
    is_taken: NDArray[np.bool_] | None = None
    borders: Sequence[float] = ()
    per_image: NDArray[np.int64] | None = None
    brightness: NDArray[np.float64] | None = None


@in_default_style
def plot_data_sheet(sheet: DataSheet, path: Path) -> None:
    """Draw the panels that there are data for, three in a row."""
    save_figure(data_sheet_figure(sheet), path)


def data_sheet_figure(sheet: DataSheet) -> Figure:
    """The figure of `plot_data_sheet`."""
    panels: list[Callable[[Axes, DataSheet], None]] = []
    panels += [_classes] if sheet.class_counts and len(sheet.class_names) else []
    panels += [_sizes] if any(len(sizes) for sizes in sheet.sizes.values()) else []
    panels += [_coverage] if sheet.coverage is not None else []
    panels += [_sides] if sheet.sides is not None and len(sheet.sides) else []
    panels += [_per_image] if sheet.per_image is not None and len(sheet.per_image) else []
    panels += [_brightness] if sheet.brightness is not None and len(sheet.brightness) else []
    columns = min(3, max(1, len(panels)))
    rows = -(-len(panels) // columns) or 1
    figure = Figure(figsize=(4.6 * columns, 3.9 * rows + 0.5), dpi=110, layout="constrained")
    figure.suptitle(sheet.title, x=0.01, ha="left", color=TEXT_COLOUR, fontsize=12)
    for number, draw in enumerate(panels):
        axes = figure.add_subplot(rows, columns, number + 1)
        style_axes(axes)
        draw(axes, sheet)
    return figure


def _classes(axes: Axes, sheet: DataSheet) -> None:
    """The share of each class in each split, the largest classes first."""
    totals = sum(sheet.class_counts.values())
    order = np.argsort(-np.asarray(totals), kind="stable")[:_MAX_CLASSES]
    height = 0.8 / len(sheet.class_counts)
    for number, (split, counts) in enumerate(sheet.class_counts.items()):
        shares = 100 * counts[order] / max(counts.sum(), 1)
        places = np.arange(len(order)) + (number - (len(sheet.class_counts) - 1) / 2) * height
        axes.barh(places, shares, height=height, color=_SPLIT_COLOURS.get(split, OTHERS), label=split)
    axes.set_yticks(np.arange(len(order)), [shorten(sheet.class_names[i]) for i in order])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=GRID_COLOUR, linewidth=0.7)
    left_out = len(sheet.class_names) - len(order)
    more = f", the largest {len(order)} of {len(sheet.class_names):,} classes" if left_out > 0 else ""
    set_title(axes, f"% of the {sheet.things} of a split{more}")
    axes.legend(frameon=False, fontsize=8, labelcolor=TEXT_COLOUR, loc="lower right")


def _sizes(axes: Axes, sheet: DataSheet) -> None:
    """Width and height of the images, and the size that they are resized to."""
    for split, sizes in sheet.sizes.items():
        distinct, counts = np.unique(sizes[: 40 * _MAX_POINTS], axis=0, return_counts=True)
        area = 12 + 160 * counts / max(counts.sum(), 1)
        axes.scatter(
            distinct[:, 1], distinct[:, 0], s=area, color=_SPLIT_COLOURS.get(split, OTHERS), alpha=0.45, linewidths=0,
            label=split,
        )  # fmt: skip
    height, width = sheet.input_size
    axes.scatter([width], [height], marker="x", s=60, color=ERROR_COLOUR, label="at training")
    every = np.concatenate([*sheet.sizes.values(), np.array([sheet.input_size])])
    if every.max() > _WIDE * max(every.min(), 1):
        for scale, axis in ((axes.set_xscale, axes.xaxis), (axes.set_yscale, axes.yaxis)):
            scale("log")
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else ""))
    else:
        axes.set_xlim(0, 1.1 * every[:, 1].max())
        axes.set_ylim(0, 1.1 * every[:, 0].max())
    axes.set_xlabel("width, pixels", color=TEXT_COLOUR)
    axes.set_ylabel("height, pixels", color=TEXT_COLOUR)
    axes.tick_params(which="minor", colors=TEXT_COLOUR, color=GRID_COLOUR, labelsize=8)
    set_title(axes, "sizes of images")
    axes.legend(frameon=False, fontsize=8, labelcolor=TEXT_COLOUR)


def _coverage(axes: Axes, sheet: DataSheet) -> None:
    """How often each place of an image lies in an object."""
    assert sheet.coverage is not None
    image = axes.imshow(100 * sheet.coverage, cmap="Blues", vmin=0, extent=(0, 1, 1, 0), aspect="auto")
    axes.grid(visible=False)
    axes.set_xticks([0, 0.5, 1], ["left", "", "right"])
    axes.set_yticks([0, 0.5, 1], ["top", "", "bottom"])
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.046)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(colors=TEXT_COLOUR, labelsize=8)
    set_title(axes, "% of train's images with an object here")


def _sides(axes: Axes, sheet: DataSheet) -> None:
    """How large objects are at the size of training, and where the levels of the head lie."""
    assert sheet.sides is not None
    low, high = max(float(sheet.sides.min()), 0.5), max(float(sheet.sides.max()), 1.0)
    bins = np.geomspace(low, high * 1.001, 40).tolist()
    taken = np.ones(len(sheet.sides), dtype=bool) if sheet.is_taken is None else sheet.is_taken
    axes.hist(sheet.sides[taken], bins=bins, color=VALIDATION, label="objects")
    if not taken.all():
        label = f"no level takes them ({100 * (1 - taken.mean()):.0f} %)"
        axes.hist(sheet.sides[~taken], bins=bins, color=ERROR_COLOUR, label=label)
        axes.legend(frameon=False, fontsize=8, labelcolor=TEXT_COLOUR)
    for border in sheet.borders:
        if low < border < high:
            axes.axvline(border, color=TEXT_COLOUR, linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else ""))
    axes.tick_params(which="minor", colors=TEXT_COLOUR, color=GRID_COLOUR, labelsize=8)
    axes.set_xlabel("root of the area at training, pixels", color=TEXT_COLOUR)
    lines = "; dotted: from level to level" if len(sheet.borders) else ""
    set_title(axes, f"sizes of train's objects{lines}")


def _per_image(axes: Axes, sheet: DataSheet) -> None:
    assert sheet.per_image is not None
    most = int(sheet.per_image.max())
    axes.hist(sheet.per_image, bins=np.arange(-0.5, most + 1.5, max(1, most // 40)).tolist(), color=TRAIN)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("objects", color=TEXT_COLOUR)
    set_title(axes, "images of train by their objects")


def _brightness(axes: Axes, sheet: DataSheet) -> None:
    assert sheet.brightness is not None
    axes.hist(sheet.brightness, bins=np.linspace(0, 255, 52).tolist(), color=TRAIN)
    axes.set_xlabel("mean grey value, 0 to 255", color=TEXT_COLOUR)
    set_title(axes, "images by their brightness")

"""The style of all matplotlib figures, without pyplot and its global state."""

import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator

from visionkit.files import write_atomic
from visionkit.report.fonts import font_files
from visionkit.report.style import GRID_COLOUR, TEXT_COLOUR

__all__ = [
    "format_tick", "has_long_names", "in_default_style", "limits", "save_figure", "set_title", "style_axes",
    "style_epochs", "style_values",
]  # fmt: skip


in_default_style = style.context("default")
"""Decorator of functions that plot: no ``matplotlibrc`` and no style of a notebook changes a picture."""


def style_axes(axes: Axes) -> None:
    """Apply the style of all plots to axes: colours, horizontal grid, no upper and right spine."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID_COLOUR)
    axes.tick_params(colors=TEXT_COLOUR, color=GRID_COLOUR, labelsize=9)
    axes.grid(axis="y", color=GRID_COLOUR, linewidth=0.7)
    axes.set_axisbelow(True)


def set_title(axes: Axes, title: str) -> None:
    """Write the title of a plot above its left edge."""
    axes.set_title(title, loc="left", color=TEXT_COLOUR, fontsize=11)


def style_epochs(axes: Axes, epochs: Sequence[float]) -> None:
    """Let the horizontal axis show epochs: whole numbers, and room around a single one."""
    axes.set_xlabel("epoch", color=TEXT_COLOUR)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if epochs:
        margin = 0.5 if min(epochs) == max(epochs) else min(0.5, 0.03 * (max(epochs) - min(epochs)))
        axes.set_xlim(min(epochs) - margin, max(epochs) + margin)


def style_values(axes: Axes, values: Sequence[float]) -> None:
    """Let the vertical axis show values as plain numbers, without an offset or factor above it."""
    if values:
        axes.set_ylim(*limits(values))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, min_n_ticks=3, steps=[1, 2, 2.5, 5, 10]))
    largest = max((abs(value) for value in values), default=1.0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_tick(value, largest)))


def format_tick(value: float, largest: float) -> str:
    """A value of an axis; where even the largest is tiny, with its power of ten."""
    if largest >= 1e-3 or value == 0:
        return f"{value:.6g}"
    mantissa, exponent = f"{value:.3e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def limits(values: Sequence[float]) -> tuple[float, float]:
    """Limits of an axis with room around finite values, and no narrower than one per cent of the largest of them."""
    low, high = min(values), max(values)
    largest = max(abs(low), abs(high))
    margin = max(0.06 * (high - low), 0.005 * largest) or 0.05
    lower, upper = low - margin, high + margin
    return (0.0 if low >= 0 > lower else lower), (upper if math.isfinite(upper) else high)


def has_long_names(names: Sequence[str]) -> bool:
    """Whether any name has more than 4 characters."""
    return max(len(name) for name in names) > 4


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically.

    A ``$`` in the name of a class begins no formula, and names in any script get a font that has it.
    """
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    for axes in figure.axes:
        axes.get_xticklabels(), axes.get_yticklabels()  # makes their texts, which are else made while drawing
    texts = figure.findobj(Text)
    families = _families(texts)
    for text in texts:
        text.set_parse_math(False)
        text.set_fontfamily(families)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure.savefig(buffer, format="png")
    write_atomic(path, buffer.getvalue())


def _families(texts: Sequence[Text]) -> list[str]:
    """Names of the fonts that texts need; matplotlib takes each letter from the first that has it."""
    families = []
    for file in font_files("".join(sorted({char for text in texts for char in text.get_text()}))):
        if not any(Path(font.fname) == file for font in fontManager.ttflist):
            fontManager.addfont(str(file))
        families.append(FontProperties(fname=str(file)).get_name())
    return families

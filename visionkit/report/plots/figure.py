"""Helpers of matplotlib figures, without pyplot and its global state."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from visionkit.files import write_atomic
from visionkit.report.style import GRID_COLOUR, TEXT_COLOUR

__all__ = ["has_long_names", "save_figure", "style_axes"]


def style_axes(axes: Axes) -> None:
    """Apply the style of all plots to axes: colours, horizontal grid, no upper and right spine."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID_COLOUR)
    axes.tick_params(colors=TEXT_COLOUR, color=GRID_COLOUR, labelsize=9)
    axes.grid(axis="y", color=GRID_COLOUR, linewidth=0.7)
    axes.set_axisbelow(True)


def has_long_names(names: Sequence[str]) -> bool:
    """Whether any name has more than 4 characters."""
    return max(len(name) for name in names) > 4


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically.

    A ``$`` in the name of a class begins no formula, and a letter that the font lacks is no warning on the terminal.
    """
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure.savefig(buffer, format="png")
    write_atomic(path, buffer.getvalue())

"""What figures share. They are made of matplotlib's objects; no global state is touched."""

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from visionkit.files import write_atomic
from visionkit.report.style import FAINT, INK

__all__ = ["are_long", "save_figure", "style_axes"]


def style_axes(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, color=FAINT, labelsize=9)
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)


def are_long(names: Sequence[str]) -> bool:
    return max(len(name) for name in names) > 4


def save_figure(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png")
    write_atomic(path, buffer.getvalue())

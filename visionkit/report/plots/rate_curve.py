"""The plot of a learning rate range test: loss over the rate, with the rate that is suggested."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from visionkit.report.plots.figure import in_default_style, save_figure, set_title, style_axes, style_values
from visionkit.report.style import ERROR_COLOUR, OTHERS, TEXT_COLOUR, VALIDATION, shorten

__all__ = ["RatePlot", "plot_rate_curve", "rate_curve_figure"]


@dataclass(frozen=True)
class RatePlot:
    """What is drawn.

    Attributes:
        rates: Ascending.
        losses: One per rate, finite.
        smoothed: Likewise.
        suggestion: The rate that is suggested.
        recipe_lr: That of the recipe.
        title: Network and data.
        diverged: Whether the test ended because the loss diverged.
    """

    rates: Sequence[float]
    losses: Sequence[float]
    smoothed: Sequence[float]
    suggestion: float
    recipe_lr: float
    title: str
    diverged: bool


@in_default_style
def plot_rate_curve(plot: RatePlot, path: Path) -> None:
    """Draw the loss over the learning rate on a logarithmic axis, as a PNG file."""
    save_figure(rate_curve_figure(plot), path)


def rate_curve_figure(plot: RatePlot) -> Figure:
    """The figure that `plot_rate_curve` writes."""
    rates, smoothed, suggestion = plot.rates, plot.smoothed, plot.suggestion
    figure = Figure(figsize=(7.2, 4.2), layout="constrained", dpi=120)
    axes = figure.subplots()
    bottom, start = min(smoothed), smoothed[0]
    top = start + 0.6 * (start - bottom)  # what diverges would flatten all the rest
    axes.plot(rates, plot.losses, ".", color=OTHERS, markersize=4, label="loss of a batch", zorder=1)
    axes.plot(rates, smoothed, color=VALIDATION, linewidth=2.0, label="smoothed", zorder=2)
    style_axes(axes)
    axes.set_xscale("log")
    style_values(axes, [bottom, top])
    axes.set_ylim(top=top)
    axes.set_xlim(rates[0], rates[-1])
    axes.xaxis.set_major_locator(LogLocator(numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("e-0", "e-")))
    axes.set_xlabel("learning rate", color=TEXT_COLOUR)
    set_title(axes, f"training loss, {shorten(plot.title, 48)}")
    at_suggestion = _value_at(rates, smoothed, suggestion)
    axes.axvline(suggestion, color=ERROR_COLOUR, linewidth=1.2, zorder=1)
    axes.plot(
        suggestion, at_suggestion, "o", color=ERROR_COLOUR, markersize=8, linestyle="none",
        label=f"suggested: recipe.lr={suggestion:.2g}", zorder=4,
    )  # fmt: skip
    if rates[0] <= plot.recipe_lr <= rates[-1]:
        axes.axvline(plot.recipe_lr, color=TEXT_COLOUR, linewidth=1.0, linestyle=(0, (2, 3)), zorder=1,
                     label=f"the recipe has {plot.recipe_lr:g}")  # fmt: skip
    beyond = next(
        (rate for rate, value in zip(rates, smoothed, strict=True) if rate > suggestion and value > top), None
    )
    if plot.diverged and beyond is not None:
        axes.annotate(
            "diverges", (beyond, top), (-8, -6), textcoords="offset points", ha="right", va="top", color=TEXT_COLOUR,
            fontsize=9,
        )  # fmt: skip
    axes.legend(frameon=False, fontsize=9, labelcolor=TEXT_COLOUR, loc="lower left")
    return figure


def _value_at(rates: Sequence[float], values: Sequence[float], rate: float) -> float:
    """The value at the nearest rate by ratio."""
    index = min(range(len(rates)), key=lambda i: max(rates[i] / rate, rate / rates[i]))
    return values[index]

"""The picture of a learning rate range test."""

import pytest
from PIL import Image

from visionkit.report.plots.rate_curve import RatePlot, plot_rate_curve, rate_curve_figure

RATES = [10 ** (-6 + index / 20) for index in range(140)]
LOSSES = [2.0 - 0.01 * index if index < 100 else 1.0 + 0.2 * (index - 100) for index in range(140)]


def plot(**changes):
    values = {"rates": RATES, "losses": LOSSES, "smoothed": LOSSES, "suggestion": RATES[95], "recipe_lr": 0.05,
              "title": "lenet on digits", "diverged": True}  # fmt: skip
    return RatePlot(**{**values, **changes})


def labels(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_the_suggestion_and_the_recipes_rate_are_named_and_lie_on_the_curve():
    figure = rate_curve_figure(plot())
    assert labels(figure) == ["loss of a batch", "smoothed", "suggested: recipe.lr=0.056", "the recipe has 0.05"]
    marked = next(line for line in figure.axes[0].lines if "suggested" in str(line.get_label()))
    assert (marked.get_xdata()[0], marked.get_ydata()[0]) == (RATES[95], LOSSES[95])
    assert figure.axes[0].get_xscale() == "log"


def test_a_loss_that_diverges_does_not_flatten_the_curve_and_is_named():
    figure = rate_curve_figure(plot())
    low, high = figure.axes[0].get_ylim()
    assert low < min(LOSSES)
    assert 2.0 < high < max(LOSSES)
    assert "diverges" in [text.get_text() for text in figure.axes[0].texts]
    assert [text.get_text() for text in rate_curve_figure(plot(diverged=False)).axes[0].texts] == []


@pytest.mark.parametrize("rate", [1e-9, 1e3])
def test_a_rate_of_the_recipe_outside_of_the_range_is_not_drawn(rate):
    assert len(labels(rate_curve_figure(plot(recipe_lr=rate)))) == 3


def test_it_is_written_as_png(tmp_path):
    plot_rate_curve(plot(), tmp_path / "lr.png")
    with Image.open(tmp_path / "lr.png") as image:
        assert (image.format, image.size) == ("PNG", (864, 504))

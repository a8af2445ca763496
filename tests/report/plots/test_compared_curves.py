"""Curves of several runs in one picture."""

import math

import pytest
from PIL import Image

from visionkit.report.plots.compared_curves import compared_curves_figure, plot_compared_curves
from visionkit.report.style import OTHERS


def _history(*accuracies):
    return [{"epoch": e, "val/loss": 1 / e, "val/accuracy": value} for e, value in enumerate(accuracies, 1)]


def _figure(*runs):
    return compared_curves_figure(runs, monitor="val/accuracy")


def test_each_run_has_a_line_of_loss_and_one_of_the_metric_in_one_colour():
    loss, accuracy = _figure(("a", _history(0.5, 0.6)), ("b", _history(0.7, 0.8, 0.9))).axes
    assert [axes.get_title(loc="left") for axes in (loss, accuracy)] == ["val/loss", "val/accuracy (%)"]
    assert [list(line.get_ydata()) for line in accuracy.lines] == [pytest.approx([50, 60]), pytest.approx([70, 80, 90])]
    assert [list(line.get_ydata()) for line in loss.lines] == [[1, 0.5], [1, 0.5, 1 / 3]]
    assert [line.get_color() for line in loss.lines] == [line.get_color() for line in accuracy.lines]
    assert len({line.get_color() for line in loss.lines}) == 2


def test_the_legend_names_each_run_once_even_of_equal_names():
    figure = _figure(("same", _history(0.5)), ("same", _history(0.6)))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["same", "same"]
    assert len(figure.axes[0].lines) == 2


def test_more_than_ten_runs_share_grey_and_one_line_of_the_legend():
    figure = _figure(*((f"run {i}", _history(i / 20)) for i in range(13)))
    assert [text.get_text() for text in figure.legends[0].get_texts()][-2:] == ["run 9", "3 more runs"]
    assert [line.get_color() for line in figure.axes[0].lines][10:] == [OTHERS] * 3


def test_values_that_are_not_finite_are_left_out():
    _, accuracy = _figure(("a", _history(math.nan, 0.5)), ("b", _history(math.inf))).axes
    assert [list(line.get_xdata()) for line in accuracy.lines] == [[2], []]


def test_the_file_is_written_where_any_run_has_an_epoch(tmp_path):
    assert not plot_compared_curves([("a", []), ("b", [])], tmp_path / "c.png", monitor="val/accuracy")
    assert list(tmp_path.iterdir()) == []
    assert plot_compared_curves([("a", []), ("b", _history(0.5))], tmp_path / "c.png", monitor="val/accuracy")
    with Image.open(tmp_path / "c.png") as image:
        assert image.size == (1000, 440)

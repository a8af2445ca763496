"""Curves over the epochs."""

import math

import numpy as np
import pytest
from PIL import Image

from visionkit.report.plots.curves import curves_figure, percent, plot_curves
from visionkit.report.plots.figure import format_tick, limits
from visionkit.report.style import ERROR_COLOUR


def _history(epochs=5, rates=None):
    return [
        {
            "epoch": e, "lr": 0.1 if rates is None else rates[e - 1], "train/loss": 1 / e, "val/loss": 1.1 / e,
            "train/accuracy": 0.5 + e / 20, "val/accuracy": e / 10,
        }
        for e in range(1, epochs + 1)
    ]  # fmt: skip


def _axes(history, monitor="val/accuracy", mode="max"):
    return curves_figure(history, monitor=monitor, mode=mode).axes


def _legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_curves_show_loss_metric_and_learning_rate_with_the_best_epoch():
    loss, accuracy, rate = _axes(_history())
    assert [axes.get_title(loc="left") for axes in (loss, accuracy, rate)] == [
        "loss", "accuracy (%)", "learning rate at each epoch's end",
    ]  # fmt: skip
    assert _legend(loss) == ["train", "val"]
    assert _legend(accuracy) == ["train", "val", "best: 50.00 % in epoch 5"]
    assert list(accuracy.lines[1].get_ydata()) == pytest.approx([10, 20, 30, 40, 50])
    assert accuracy.lines[2].get_markeredgecolor() == ERROR_COLOUR
    assert list(rate.lines[0].get_ydata()) == [0.1] * 5


def test_the_best_epoch_is_the_lowest_where_less_is_better():
    history = [{"epoch": e, "val/error": value} for e, value in ((1, 3.0), (2, 1.0), (3, 2.0))]
    assert "best: 1 in epoch 2" in _legend(_axes(history, "val/error", "min")[1])


def test_metrics_have_the_names_of_papers():
    history = [{"epoch": 1, "val/map": 0.5}]
    assert _axes(history, "val/map")[1].get_title(loc="left") == "mAP (%)"
    assert percent("dice_loss") == 1


def test_one_epoch_has_room_around_its_points_and_one_whole_number_below():
    for axes in _axes(_history(1)):
        left, right = axes.get_xlim()
        assert (left, right) == (0.5, 1.5)
        assert [tick for tick in axes.get_xticks() if left <= tick <= right] == [1]
        low, high = axes.get_ylim()
        points = [value for line in axes.lines for value in line.get_ydata()]
        assert low < min(points) <= max(points) < high
        assert axes.lines[0].get_marker() == "o"


@pytest.mark.parametrize("values", [[0.98765e-3], [2.302585] * 3, [2.302585, 2.3025851], [0.0], [1e-12, 2e-12], [-1.0]])
def test_limits_have_room_around_constant_values(values):
    low, high = limits(values)
    assert low <= min(values) <= max(values) < high
    assert high - low >= 0.005 * max(map(abs, values))


def test_axes_of_constant_tiny_and_equal_values_have_neither_offset_nor_factor():
    history = [{"epoch": e, "lr": 0.98765e-3, "val/loss": 2.302585 + e * 1e-7, "val/accuracy": 0.1} for e in (1, 2, 3)]
    figure = curves_figure(history, monitor="val/accuracy", mode="max")
    figure.draw_without_rendering()
    for axes in figure.axes:
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert axes.yaxis.get_offset_text().get_text() == ""
        assert len(set(labels)) == len(labels) >= 3


def test_tiny_ticks_have_their_power_of_ten():
    assert [format_tick(value, 2e-4) for value in (0.0, 5e-5, 2.5e-4)] == ["0", "5e-5", "2.5e-4"]
    assert format_tick(0.30000000000000004, 1.0) == "0.3"


def test_the_learning_rate_is_logarithmic_where_it_spans_decades_and_not_where_it_only_ends_at_zero():
    steps = [0.1] * 4 + [0.01] * 4 + [0.001] * 4
    cosine = [0.05 * (1 + math.cos(math.pi * e / 20)) for e in range(20)]
    assert _axes(_history(12, steps))[2].get_yscale() == "log"
    assert _axes(_history(20, cosine))[2].get_yscale() == "linear"
    assert _axes(_history(2, [0.1, 0.0]))[2].get_ylim()[0] < 0  # the last point is whole


def test_values_that_are_not_finite_are_left_out():
    nan, infinite = math.nan, math.inf
    history = [{"epoch": e, "val/loss": loss, "val/accuracy": nan} for e, loss in ((1, 2.0), (2, infinite), (3, nan))]
    loss, accuracy = _axes(history)
    assert list(loss.lines[0].get_ydata()) == [2.0]
    assert [text.get_text() for text in accuracy.texts] == ["no finite values"]


def test_a_hundred_epochs_have_lines_without_markers_and_no_epoch_zero():
    axes = _axes(_history(100))[0]
    assert axes.lines[0].get_marker() == "None"
    assert axes.get_xlim()[0] > 0


def test_the_file_is_written_alone_and_no_epoch_draws_nothing(tmp_path):
    plot_curves([], tmp_path / "p" / "curves.png", monitor="val/accuracy")
    assert list(tmp_path.iterdir()) == []
    plot_curves(_history(), tmp_path / "p" / "curves.png", monitor="val/accuracy")
    assert [file.name for file in (tmp_path / "p").iterdir()] == ["curves.png"]
    with Image.open(tmp_path / "p" / "curves.png") as image:
        assert np.asarray(image.convert("L")).std() > 0


def test_the_points_of_one_epoch_have_their_numbers_beside_them_on_an_axis_from_zero():
    loss, accuracy, rate = _axes(_history(1))
    assert [text.get_text() for text in loss.texts] == ["val: 1.1", "train: 1"]
    assert [text.get_text() for text in accuracy.texts] == ["train: 55", "val: 10"]
    assert [text.get_text() for text in rate.texts] == ["learning rate: 0.1"]
    assert accuracy.get_ylim() == pytest.approx((0, 110))
    assert loss.get_ylim() == pytest.approx((0, 1.21))
    assert [axes.get_legend() for axes in (loss, accuracy, rate)] == [None] * 3

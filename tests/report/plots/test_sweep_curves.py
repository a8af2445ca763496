"""The curves of a sweep."""

import math

import pytest

from visionkit.report.plots.sweep_curves import SweepCurve, plot_sweep, sweep_figure


def _curves(count):
    return [SweepCurve(f"{i}: lr={i}", [(epoch, i / 100 + epoch / 1000) for epoch in (1, 2, 3)]) for i in range(count)]


def _legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def _figure(curves, mode="max", monitor="val/map"):
    return sweep_figure(curves, monitor=monitor, mode=mode)


@pytest.mark.parametrize(("count", "title"), [(1, "1 run"), (5, "5 runs"), (50, "50 runs")])
def test_each_run_has_a_line_and_the_best_is_the_thickest(count, title):
    figure = _figure(_curves(count))
    (axes,) = figure.axes
    assert len(axes.lines) == count
    assert axes.get_title(loc="left") == f"val/mAP (%) of {title}, the best one thick"
    widths = [line.get_linewidth() for line in axes.lines]
    assert widths.index(max(widths)) == 0
    assert list(axes.lines[0].get_ydata()) == pytest.approx([count - 1 + 0.1, count - 1 + 0.2, count - 1 + 0.3])


def test_the_best_ten_of_fifty_are_named_the_best_first_and_the_rest_are_counted():
    names = _legend(_figure(_curves(50)))
    assert names[0] == "49: lr=49   49.30 %"
    assert names[9] == "40: lr=40   40.30 %"
    assert names[10:] == ["40 more runs"]


def test_where_less_is_better_the_lowest_is_the_best():
    names = _legend(_figure(_curves(3), "min", "val/loss"))
    assert names == ["0: lr=0   0.001", "1: lr=1   0.011", "2: lr=2   0.021"]


def test_runs_without_a_finite_score_are_left_out_and_alone_draw_nothing(tmp_path):
    broken = SweepCurve("9: broken", [(1, math.nan)])
    assert len(_figure([*_curves(2), broken, SweepCurve("8: failed", [])]).axes[0].lines) == 2
    plot_sweep([broken], tmp_path / "curves.png", monitor="val/map", mode="max")
    assert list(tmp_path.iterdir()) == []


def test_runs_of_one_epoch_are_bars_from_zero_since_equal_dots_would_hide_each_other():
    figure = _figure([SweepCurve(f"{i}", [(1, value)]) for i, value in enumerate((0.25, 0.0, 0.25))])
    (axes,) = figure.axes
    assert (len(axes.lines), [bar.get_height() for bar in axes.patches]) == (0, [25.0, 25.0, 0.0])
    assert axes.get_ylim()[0] == 0
    assert axes.get_title(loc="left") == "val/mAP (%) of 3 runs, the best one first"
    assert _legend(figure) == ["0   25.00 %", "2   25.00 %", "1   0.00 %"]

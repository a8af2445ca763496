"""The rate that is read from the curve of a range test."""

import math

import pytest

from visionkit.training.finders.rate_curve import read_curve, smooth, suggest_index

RATES = [10 ** (-6 + 7 * index / 139) for index in range(140)]


def read(losses, rates=RATES, **changes):
    arguments = {"low": 1e-6, "high": 10.0, "diverged": True, "recipe_lr": 0.05, "title": "lenet on digits",
                 "batch_size": 64, "accumulate": 1}  # fmt: skip
    return read_curve(rates[: len(losses)], losses, **{**arguments, **changes})


def valley(*, start, end, floor=0.5, top=2.3):
    """Flat, a straight fall over the logarithm of the rate from ``start`` to ``end``, a flat valley, and a rise."""
    losses = []
    for rate in RATES:
        share = (math.log10(rate) - math.log10(start)) / (math.log10(end) - math.log10(start))
        losses.append(top - (top - floor) * min(max(share, 0), 1) + (10 * (rate - 1) if rate > 1 else 0))
    return losses


def test_smoothing_keeps_a_constant_and_the_middle_of_a_straight_line():
    assert smooth(RATES, [2.0] * 140) == pytest.approx([2.0] * 140)
    line = [float(index) for index in range(140)]
    assert smooth(RATES, line)[20:120] == pytest.approx(line[20:120], abs=1e-6)


def test_smoothing_depends_on_the_range_and_not_on_the_number_of_steps():
    wave = lambda rates: [math.sin(math.log10(rate)) for rate in rates]  # noqa: E731
    fine = [10 ** (-6 + 7 * index / 278) for index in range(279)]
    assert smooth(fine, wave(fine))[100:180:2] == pytest.approx(smooth(RATES, wave(RATES))[50:90], abs=1e-3)


@pytest.mark.parametrize(("start", "end"), [(1e-3, 3e-2), (1e-4, 1e-3), (1e-2, 1e-1)])
def test_the_suggestion_is_where_a_flat_valley_begins(start, end):
    assert end <= read(valley(start=start, end=end)).suggestion <= 1.7 * end  # smoothing rounds the corner


def test_scaling_the_loss_or_shifting_the_range_changes_nothing_else():
    losses = valley(start=1e-3, end=3e-2)
    place = suggest_index(smooth(RATES, losses))
    assert suggest_index(smooth(RATES, [7 * loss for loss in losses])) == place
    shifted = [100 * rate for rate in RATES]
    assert read(losses, shifted, high=1000.0).suggestion == pytest.approx(100 * RATES[place])


def test_a_loss_that_does_not_fall_suggests_nothing():
    assert read([2.3 + 0.01 * (index % 3) for index in range(140)]) is None
    assert read([2.3 + index for index in range(140)]) is None
    assert read([2.3, 1.0, 0.5]) is None  # diverged at once


def test_a_range_that_ends_too_early_or_begins_too_late_is_said():
    falling = [2.3 - 0.01 * index for index in range(140)]
    assert read(falling, diverged=False).notes == [
        "The loss still falls at the end of the range: a higher rate may be better. Try high=1000"
    ]
    steep = [2.3 * 0.5**index for index in range(140)]
    assert "Try low=1e-09" in read(steep).notes[0]
    assert read(valley(start=1e-3, end=3e-2)).notes == []


def test_what_is_printed_can_be_pasted():
    curve = read(valley(start=1e-3, end=3e-2))
    key, _, value = curve.word.partition("=")
    assert key == "recipe.lr"
    assert float(value) == pytest.approx(curve.suggestion, rel=0.05)
    assert curve.to_json()["word"] == curve.word
    assert len(curve.to_json()["losses"]) == 140

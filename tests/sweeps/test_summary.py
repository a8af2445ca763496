"""The numbers under a sweep's table."""

import math
from dataclasses import replace

import pytest

from visionkit.sweeps.job import RunRow
from visionkit.sweeps.summary import best_run, confidence, describe_repeats, group_runs, shorten
from visionkit.tasks.info import TASKS

ACCURACY = TASKS["classify"]
LOSS = replace(TASKS["classify"], monitor="val/loss", mode="min")


def row(number, value, *, metric="val/accuracy", status="done", **overrides):
    return RunRow(number, overrides, status, {metric: value})


def test_the_interval_is_that_of_scipys_t_distribution():
    from scipy import stats

    values = [0.91, 0.93, 0.90, 0.97]
    low, high = stats.t.interval(0.95, 3, loc=sum(values) / 4, scale=stats.sem(values))
    assert confidence(values) == pytest.approx((high - low) / 2, rel=1e-12)


def test_the_interval_of_three_values_by_hand():
    """Student's table: t(0.975, 2) = 4.303; the standard deviation of 1, 2, 3 is 1."""
    assert confidence([1.0, 2.0, 3.0]) == pytest.approx(4.303 / math.sqrt(3), abs=1e-3)


def test_one_seed_has_no_interval():
    assert confidence([0.9]) is None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_not_finite_has_no_interval(value):
    assert confidence([0.9, value]) is None


def test_runs_that_differ_by_their_seed_are_one_group_and_the_best_mean_comes_first():
    rows = [row(0, 0.5, net="a", seed="0"), row(1, 0.7, net="a", seed="1"), row(2, 0.65, net="b", seed="0")]
    groups = group_runs(rows, ACCURACY)
    assert [(g.overrides, [r.number for r in g.rows]) for g in groups] == [({"net": "b"}, [2]), ({"net": "a"}, [0, 1])]
    assert groups[1].mean("val/accuracy")[0] == pytest.approx(0.6)


def test_where_less_is_better_the_smallest_comes_first_and_no_number_last():
    rows = [row(n, v, metric="val/loss", net=str(n)) for n, v in enumerate([0.3, math.nan, 0.1])]
    assert [g.rows[0].number for g in group_runs(rows, LOSS)] == [2, 0, 1]
    assert best_run(rows, LOSS).number == 2


def test_only_finished_runs_are_compared_and_of_equals_the_first_is_the_best():
    rows = [row(0, 0.99, status="pruned"), row(1, 0.8), row(2, 0.8), row(3, 0.9, status="interrupted")]
    assert best_run(rows, ACCURACY).number == 1
    assert best_run(rows[:1], ACCURACY) is None


@pytest.mark.parametrize(
    ("text", "short"), [("0.0123456789", "0.01235"), ("lenet_by_hand", "lenet_by_hand"), ("3", "3")]
)
def test_long_numbers_are_shortened_for_reading(text, short):
    assert shorten(text) == short


def test_runs_that_differ_by_their_fold_are_one_group_and_the_title_says_over_what_the_mean_is():
    rows = [row(n, 0.5 + n / 10, **{"net": "a", "dataset.fold": str(n)}) for n in range(3)]
    (group,) = group_runs(rows, ACCURACY)
    assert group.overrides == {"net": "a"}
    mean, half_width = group.mean("val/accuracy")
    assert (mean, half_width) == (pytest.approx(0.6), pytest.approx(4.303 * 0.1 / math.sqrt(3), abs=1e-4))
    assert describe_repeats([group]) == ", mean and 95 % interval over folds"
    both = group_runs([*rows, row(3, 0.5, **{"net": "a", "dataset.fold": "0", "seed": "1"})], ACCURACY)
    assert describe_repeats(both) == ", mean and 95 % interval over seeds and folds"
    assert describe_repeats(group_runs(rows[:1], ACCURACY)) == ""

"""Intervals: Wilson's against scipy, the bootstrap against simulated splits whose true value is known."""

import pytest
import torch
from scipy.stats import binomtest

from visionkit.metrics.classification import ClassificationMetrics
from visionkit.metrics.intervals import (
    CHOICE_HALF_WIDTH,
    ImageValues,
    bootstrap,
    half_width,
    interval_scalars,
    percentile_interval,
    resample,
    wilson_interval,
)


@pytest.mark.parametrize(("successes", "count"), [(0, 10), (1, 1), (9, 10), (10, 10), (137, 200), (9_912, 10_000)])
def test_wilsons_interval_is_scipys(successes, count):
    expected = binomtest(successes, count).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_resample_draws_as_many_images_as_there_are_each_about_once():
    draws = resample(500)
    assert draws.shape == (1000, 500)
    assert draws.sum(dim=1).eq(500).all()
    assert draws.double().mean(dim=0).sub(1).abs().max() < 0.2
    assert draws.double().var().item() == pytest.approx(1 - 1 / 500, abs=0.02)
    assert torch.equal(draws, resample(500))


def test_costly_metrics_have_fewer_resamples_but_never_under_two_hundred():
    assert [len(resample(10, work=work)) for work in (0, 10**6, 10**9)] == [1000, 400, 200]


def test_the_bootstrap_holds_the_true_value_in_some_95_of_100_splits():
    """A quotient of sums, as IoU is, of 60 images; the standard error of the coverage over 150 splits is 0.018."""
    generator = torch.Generator().manual_seed(0)
    true = 0.6
    held = 0
    for _ in range(150):
        areas = torch.rand(60, generator=generator) * 100
        shares = (true + 0.2 * torch.randn(60, generator=generator)).clamp(0, 1)
        values = torch.stack([areas * shares, areas], dim=1)
        low, high = bootstrap(values, lambda sums: sums[:, 0] / sums[:, 1])
        held += low <= true <= high
    assert 0.90 <= held / 150 <= 0.99


def test_one_image_has_no_interval():
    assert bootstrap(torch.ones(1, 2), lambda sums: sums[:, 0]) is None
    assert percentile_interval(torch.full((3,), torch.nan)) is None
    assert interval_scalars("map", 0.5, None) == {}


def test_an_interval_holds_the_value_itself():
    scalars = interval_scalars("map", torch.tensor(0.75), (0.8, 0.9))
    assert {name: value.item() for name, value in scalars.items()} == {"map_low": 0.75, "map_high": 0.9}


def test_numbers_of_images_are_in_the_order_of_their_indices_whoever_saw_them():
    one, other = ImageValues(), ImageValues()
    one.update(torch.tensor([4, 0]), torch.tensor([[40], [0]]))
    other.update(torch.tensor([3, 1]), torch.tensor([[30], [10]]))
    one.merge_state(other.metric_state)
    assert one.compute().flatten().tolist() == [0, 10, 30, 40]


def _classification(*, intervals):
    metrics = ClassificationMetrics(("a", "b"), intervals=intervals)
    labels = torch.arange(40) % 2
    predicted = torch.where(torch.arange(40) < 30, labels, 1 - labels)
    metrics.update(torch.nn.functional.one_hot(predicted, 2).float(), labels)
    return {name: value.item() for name, value in metrics.intervals().items()}


def test_the_interval_of_an_accuracy_is_wilsons():
    expected = binomtest(30, 40).proportion_ci(0.95, method="wilson")
    found = _classification(intervals=True)
    assert found == pytest.approx({"accuracy_low": expected.low, "accuracy_high": expected.high})


def test_intervals_are_computed_where_they_are_wanted_alone():
    assert _classification(intervals=False) == {}


def test_a_split_that_fixes_an_accuracy_to_five_points_has_some_380_images():
    assert half_width(377, of_accuracy=True) > CHOICE_HALF_WIDTH
    assert half_width(385, of_accuracy=True) < CHOICE_HALF_WIDTH
    expected = binomtest(30, 60).proportion_ci(0.95, method="wilson")
    assert half_width(60, of_accuracy=True) == pytest.approx((expected.high - expected.low) / 2)


def test_a_metric_that_averages_within_images_needs_fewer():
    """1.96 standard errors of a mean of numbers that spread by 0.25."""
    assert half_width(100, of_accuracy=False) == pytest.approx(1.96 * 0.25 / 10, abs=1e-4)

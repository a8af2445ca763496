"""Tests of differences, against scipy."""

import math

import pytest
from scipy.stats import chi2_contingency, false_discovery_control, fisher_exact, norm

from visionkit.metrics.differences import fisher_exact_test, holm_adjusted, interval_test, proportion_test


def _table(successes, counts):
    return [[right, count - right] for right, count in zip(successes, counts, strict=True)]


@pytest.mark.parametrize(
    ("successes", "counts"), [((250, 230), (270, 270)), ((9000, 9100), (10_000, 10_000)), ((60, 300), (100, 400))]
)
def test_two_fractions_are_compared_as_by_pearsons_chi_squared_test(successes, counts):
    expected = chi2_contingency(_table(successes, counts), correction=False).pvalue
    assert proportion_test(successes, counts) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("successes", "counts"),
    [((268, 265), (270, 270)), ((3, 0), (3, 4)), ((10, 10), (10, 10)), ((0, 0), (5, 9)), ((1, 49_990), (3, 50_000)),
     ((9_999, 9_993), (10_000, 10_000))],
)  # fmt: skip
def test_few_mistakes_are_compared_by_fishers_exact_test(successes, counts):
    expected = fisher_exact(_table(successes, counts)).pvalue
    assert proportion_test(successes, counts) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("successes", "counts"), [((8, 2), (10, 10)), ((30, 45), (50, 60)), ((5, 5), (10, 10))])
def test_fishers_test_is_scipys(successes, counts):
    expected = fisher_exact(_table(successes, counts)).pvalue
    assert fisher_exact_test(successes, counts) == pytest.approx(expected, rel=1e-9)


def test_the_order_of_the_two_does_not_matter():
    assert proportion_test((250, 230), (270, 280)) == proportion_test((230, 250), (280, 270))


def test_intervals_that_just_part_by_their_joint_width_are_at_the_edge_of_chance():
    half = math.hypot(0.03, 0.04)
    assert interval_test((0.5, 0.5 + half), (0.03, 0.04)) == pytest.approx(0.05)
    expected = 2 * norm.sf(0.02 / (half / norm.ppf(0.975)))
    assert interval_test((0.50, 0.52), (0.03, 0.04)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "half_widths"), [((math.nan, 0.5), (0.1, 0.1)), ((0.4, 0.5), (0, 0)), ((0.4, 0.5), (math.inf, 0.1))]
)
def test_what_is_not_finite_or_has_no_width_tells_nothing(values, half_widths):
    assert interval_test(values, half_widths) is None


def test_several_tests_are_adjusted_as_holm_does():
    assert holm_adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_adjusted([0.5, 0.9]) == [1.0, 1.0]
    assert holm_adjusted([0.02]) == [0.02]
    # never below what the weaker procedure of Benjamini and Hochberg gives
    values = [0.001, 0.2, 0.03, 0.04]
    assert all(a >= b - 1e-12 for a, b in zip(holm_adjusted(values), false_discovery_control(values), strict=True))

"""Whether two metrics of independent evaluations differ by more than chance; plain numbers, without torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["fisher_exact_test", "holm_adjusted", "interval_test", "proportion_test"]

_Z = 1.959963984540054  # of the normal distribution, 95 % lie within
_MIN_EXPECTED = 5.0  # below, the normal approximation is poor (Cochran 1954, Biometrics 10:417-451)
_TIE = 1e-7  # of logarithms: tables that are equally likely differ by rounding


def proportion_test(successes: Sequence[int], counts: Sequence[int]) -> float:
    """The two-sided p-value of two fractions being equal, of samples drawn apart from each other.

    That of the score test, which is Pearson's chi-squared test of the 2 x 2 table; of Fisher's exact test where a cell
    of the table is expected to hold fewer than five.

    Args:
        successes: Of each, in 0..count.
        counts: Of each, at least 1.
    """
    total, right = sum(counts), sum(successes)
    if min(counts) * min(right, total - right) / total < _MIN_EXPECTED:
        return fisher_exact_test(successes, counts)
    pooled = right / total
    spread = math.sqrt(pooled * (1 - pooled) * (1 / counts[0] + 1 / counts[1]))
    return _two_sided((successes[0] / counts[0] - successes[1] / counts[1]) / spread)


def fisher_exact_test(successes: Sequence[int], counts: Sequence[int]) -> float:
    """The two-sided p-value of Fisher's exact test (Fisher 1935, JRSS 98:39-82): the tables at most as likely as this.

    Args:
        successes: Of each of two samples, in 0..count.
        counts: Of each.
    """
    (first, second), right = counts, sum(successes)
    lowest, highest = max(0, right - second), min(first, right)
    logs = [_log_binomial(first, k) + _log_binomial(second, right - k) for k in range(lowest, highest + 1)]
    observed, top = logs[successes[0] - lowest], max(logs)
    weights = [math.exp(value - top) for value in logs]
    as_rare = [weight for weight, value in zip(weights, logs, strict=True) if value <= observed + _TIE]
    return min(1.0, math.fsum(as_rare) / math.fsum(weights))


def interval_test(values: Sequence[float], half_widths: Sequence[float]) -> float | None:
    """The two-sided p-value of two independent metrics being equal, by the normal approximation.

    Args:
        values: Of both.
        half_widths: Half of the 95 % interval of each, at least 0.

    Returns:
        None where an infinite or missing number, or two intervals without width, tell nothing.
    """
    spread = math.hypot(*half_widths) / _Z
    if not all(map(math.isfinite, [*values, spread])) or spread == 0:
        return None
    return _two_sided((values[0] - values[1]) / spread)


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """P-values of several tests, adjusted so that below 0.05 none of them is so by chance, in 95 of 100 cases.

    Holm 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6:65-70.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted


def _two_sided(z: float) -> float:
    return math.erfc(abs(z) / math.sqrt(2))


def _log_binomial(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)

"""95 % intervals of metrics: Wilson's for a fraction of images, and the bootstrap over images for all others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy
import torch
from torch import Tensor
from torchmetrics import Metric

__all__ = [
    "CHOICE_HALF_WIDTH",
    "ImageValues",
    "bootstrap",
    "half_width",
    "interval_scalars",
    "percentile_interval",
    "resample",
    "wilson_interval",
]

CHOICE_HALF_WIDTH = 0.05
"""Half an interval above which a validation split is too small to choose an epoch or a run by it."""

NUM_RESAMPLES = 1000
MIN_RESAMPLES = 200
_MAX_WORK = 4e8
_OPERATIONS_OF_PRODUCT = 10  # of a product of matrices take the time of one that sorts or adds up
_Z = 1.959963984540054  # of the normal distribution, 95 % lie within
_SEED = 0
_SPREAD = 0.25  # of the IoU or average precision of single images, at most some half of that of right and wrong


class ImageValues(Metric):
    """Numbers of each image of a split, from which a metric of any choice of its images can be computed."""

    full_state_update = False
    indices: list[Tensor]
    values: list[Tensor]

    def __init__(self) -> None:
        super().__init__(sync_on_compute=False)
        self.add_state("indices", default=[], dist_reduce_fx=None)
        self.add_state("values", default=[], dist_reduce_fx=None)

    def update(self, indices: Tensor, values: Tensor) -> None:
        """Add images.

        Args:
            indices: (B,) int64, the index of each image in its split.
            values: (B, S), the numbers of each.
        """
        self.indices.append(indices)
        self.values.append(values)

    def compute(self) -> Tensor:
        """The numbers of all images in the order of their indices, (N, S) on the CPU."""
        if not self.values:
            return torch.empty(0, 0)
        order = torch.cat([indices.cpu() for indices in self.indices]).argsort()
        return torch.cat([values.cpu() for values in self.values])[order]


def wilson_interval(successes: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a fraction (Wilson 1927, JASA 22:209-212), which holds for small counts too.

    Args:
        successes: In 0..``count``.
        count: At least 1.
    """
    fraction, spread = successes / count, _Z**2 / count
    center = (fraction + spread / 2) / (1 + spread)
    half = math.sqrt(fraction * (1 - fraction) * spread + spread**2 / 4) / (1 + spread)
    low = 0.0 if successes == 0 else center - half
    return low, 1.0 if successes == count else center + half


def half_width(count: int, *, of_accuracy: bool) -> float:
    """Half the 95 % interval that a metric of so many images has at most, before it is known.

    Args:
        count: The number of images, at least 1.
        of_accuracy: Whether each image is right or wrong, half of them each; else the metric averages over more of it.
    """
    if not of_accuracy:
        return _Z * _SPREAD / math.sqrt(count)
    low, high = wilson_interval(count // 2, count)
    return (high - low) / 2


def resample(num_images: int, *, work: int = 0) -> Tensor:
    """How often each resample draws each image, of as many images with replacement (Efron 1979).

    Args:
        num_images: N, the number of images.
        work: Operations that a resample costs; the more, the fewer there are.

    Returns:
        (R, N) uint8, the same for the same N and R; R is in 200..1000.
    """
    count = max(MIN_RESAMPLES, min(NUM_RESAMPLES, int(_MAX_WORK // max(work, num_images, 1))))
    generator = numpy.random.default_rng(_SEED)
    draws = numpy.empty((count, num_images), dtype=numpy.uint8)
    for row in draws:
        row[:] = numpy.bincount(generator.integers(num_images, size=num_images), minlength=num_images)
    return torch.from_numpy(draws)


def bootstrap(values: Tensor, statistic: Callable[[Tensor], Tensor]) -> tuple[float, float] | None:
    """The 95 % interval of a statistic of sums over images.

    Args:
        values: (N, S), the numbers of each image.
        statistic: Sums (R, S) float64 to the metric of each, (R,).

    Returns:
        The lowest and the highest value; None of fewer than two images.
    """
    if len(values) < 2:
        return None
    numbers = values.double()
    draws = resample(len(values), work=values.numel() // _OPERATIONS_OF_PRODUCT)
    parts: Any = torch.split(draws, 100)  # type: ignore[no-untyped-call]
    return percentile_interval(torch.cat([statistic(part.double() @ numbers) for part in parts]))


def percentile_interval(values: Tensor) -> tuple[float, float] | None:
    """The middle 95 % of the metrics of resamples, (R,), NaN left out; None where none is a number."""
    values = values[~values.isnan()].double()
    if not len(values):
        return None
    low, high = torch.quantile(values, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def interval_scalars(name: str, value: Any, interval: tuple[float, float] | None) -> dict[str, Tensor]:
    """``NAME_low`` and ``NAME_high``, scalars, around the value itself; empty without an interval."""
    if interval is None:
        return {}
    # The percentiles of a mean over the classes that occur may miss the value of few images.
    low, high = min(interval[0], float(value)), max(interval[1], float(value))
    ends = torch.tensor([low, high], dtype=torch.float64)
    return {f"{name}_low": ends[0], f"{name}_high": ends[1]}

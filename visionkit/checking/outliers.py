"""What lies far from the rest of a set, by its median and its typical deviation."""

from __future__ import annotations

from typing import Any

import numpy
from numpy.typing import NDArray

__all__ = ["deviations"]

_NORMAL = 1.4826
"""Times which the median absolute deviation of a normal distribution is its standard deviation."""


def deviations(values: NDArray[Any], *, least: float) -> NDArray[Any]:
    """How many typical deviations each value lies above the median, float64 (N,).

    Args:
        values: (N,).
        least: The smallest typical deviation that is believed: a set of equal images is no measure.
    """
    numbers = values.astype(numpy.float64)
    if not len(numbers):
        return numbers
    distances = numbers - numpy.median(numbers)
    spread = max(_NORMAL * float(numpy.median(numpy.abs(distances))), least)
    scaled: NDArray[Any] = distances / spread
    return scaled

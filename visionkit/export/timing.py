"""Timing of calls that take turns: warm-up until stable, then blocks in alternation, and percentiles."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

__all__ = ["Clock", "Percentiles", "WarmUp", "percentiles", "take_turns", "warm_up"]

Key = TypeVar("Key")
Call = Callable[[], Any]
Clock = Callable[[], float]
"""Seconds, as of `time.perf_counter`."""

MIN_CALLS = 50
"""That are timed, unless a call is so slow that they take more than `MAX_FACTOR` times the seconds."""
MAX_FACTOR = 5
_FEWEST_CALLS = 5
_WINDOW_CALLS, _WINDOW_SECONDS = 5, 0.1
_BLOCK_SECONDS = 0.2


@dataclass(frozen=True)
class WarmUp:
    """What was done before anything was timed.

    Attributes:
        calls: How many.
        first_seconds: Of the first call, which may compile or allocate.
        stable: Whether two windows agreed in the end.
    """

    calls: int
    first_seconds: float
    stable: bool


@dataclass(frozen=True)
class Percentiles:
    """Seconds of a call.

    Attributes:
        p50: Half of the calls took no longer.
        p90: Nine of ten.
        p99: 99 of 100.
        mean: Their sum by their number.
        calls: How many were timed.
    """

    p50: float
    p90: float
    p99: float
    mean: float
    calls: int


def warm_up(call: Call, *, tolerance: float = 0.05, limit: float = 10.0, clock: Clock = time.perf_counter) -> WarmUp:
    """Call until the medians of two windows, one after the other, differ by at most a share, or a limit is reached.

    A window is five calls or more that take a tenth of a second or more; the first call belongs to none.

    Args:
        call: What is to be timed.
        tolerance: The share.
        limit: Seconds after the first call, after which no window begins.
        clock: Tells the time.
    """
    start = clock()
    call()
    first = clock() - start
    begun, count, previous = clock(), 1, 0.0
    while clock() - begun < limit:
        window = _timed(call, clock, min_calls=_WINDOW_CALLS, min_seconds=_WINDOW_SECONDS)
        count += len(window)
        median = statistics.median(window)
        if abs(median - previous) <= tolerance * previous:
            return WarmUp(count, first, True)
        previous = median
    return WarmUp(count, first, False)


def take_turns(
    calls: Mapping[Key, Call], *, seconds: float, clock: Clock = time.perf_counter
) -> dict[Key, list[float]]:
    """Time several calls in blocks that alternate, so that a drift of the machine hits all alike.

    Each round goes through all of them, backwards every second time. The first call of a block is not counted: caches
    are full of another model then, and threads of another library may still spin.

    Args:
        calls: What is timed, all of it warm.
        seconds: Each is timed for so long and 50 times at least; five times so long, and five times at least, if it
            is slow.
        clock: Tells the time.

    Returns:
        Seconds of each call.
    """
    found: dict[Key, list[float]] = {key: [] for key in calls}
    left = list(calls)
    block = min(_BLOCK_SECONDS, seconds / 4)
    while left:
        for key in left:
            calls[key]()
            found[key] += _timed(calls[key], clock, min_calls=1, min_seconds=block)
        left = [key for key in reversed(left) if not _is_enough(found[key], seconds)]
    return found


def percentiles(seconds: Sequence[float]) -> Percentiles:
    """The percentiles of times, with straight lines between them."""
    p50, p90, p99 = np.percentile(seconds, [50, 90, 99]).tolist()
    return Percentiles(p50, p90, p99, statistics.fmean(seconds), len(seconds))


def _timed(call: Call, clock: Clock, *, min_calls: int, min_seconds: float) -> list[float]:
    """Seconds of calls, until there are enough of both."""
    times: list[float] = []
    begun = clock()
    while len(times) < min_calls or clock() - begun < min_seconds:
        start = clock()
        call()
        times.append(clock() - start)
    return times


def _is_enough(times: Sequence[float], seconds: float) -> bool:
    total = sum(times)
    if total < seconds or len(times) < _FEWEST_CALLS:
        return False
    return len(times) >= MIN_CALLS or total >= MAX_FACTOR * seconds

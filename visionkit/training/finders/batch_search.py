"""Which size of a batch is the best: the search, over a function that measures one training step of a size."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

__all__ = ["NEAR_BEST", "StepCost", "attempt", "fastest_enough", "is_out_of_memory", "search_memory", "search_speed"]

NEAR_BEST = 0.95
"""The share of the most images per second that is enough: a larger batch means fewer steps in an epoch."""

_GAIN = 1.03
_PATIENCE = 2
"""So many sizes without a gain of 3 % end the search by speed."""
_FINENESS = 8
"""The search by memory ends when what fits and what does not are less than an eighth apart."""


@dataclass(frozen=True)
class StepCost:
    """What a training step costs.

    Attributes:
        size: Images in the batch.
        seconds: Of a step, the first quartile, since a busy machine only adds to it; None if it does not fit.
        memory: Bytes of the device; None where they are not known.
    """

    size: int
    seconds: float | None
    memory: int | None = None

    @property
    def speed(self) -> float:
        """Images per second; 0 if the batch does not fit."""
        return 0.0 if self.seconds is None else self.size / self.seconds


MeasureFn = Callable[[int], StepCost]


def attempt(measure: MeasureFn, size: int) -> StepCost:
    """Measure a size, with the memory free that earlier ones had.

    Args:
        measure: Trains on batches of a size; the only access to the device.
        size: Images in the batch.
    """
    _free_memory()
    try:
        return measure(size)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    _free_memory()  # past the handler: until its end the frames of the error hold the tensors
    return StepCost(size, None)


def _free_memory() -> None:
    gc.collect()  # a trainer and its task refer to each other
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory was too small; on the CPU and on MPS torch raises a bare RuntimeError."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return type(error) is RuntimeError and ("out of memory" in text or "can't allocate memory" in text)


def search_memory(measure: MeasureFn, *, first: int, upper: int, limit: int | None = None) -> list[StepCost]:
    """Double or halve from a first guess until one size fits and another does not, then bisect between them.

    Args:
        measure: As of `attempt`.
        first: The guess, at least 1.
        upper: The largest size that makes sense.
        limit: Bytes; a size that takes more counts as one that does not fit.

    Returns:
        All sizes that were tried, in that order; none of them fits if not even one image does.
    """
    tried: list[StepCost] = []

    def fits(size: int) -> bool:
        cost = attempt(measure, size)
        if limit is not None and cost.memory is not None and cost.memory > limit:
            cost = StepCost(size, None, cost.memory)
        tried.append(cost)
        return cost.seconds is not None

    size = min(first, upper)
    low, high = 0, upper + 1
    while low < size < high:
        if fits(size):
            low, size = size, min(2 * size, upper)
        else:
            high, size = size, size // 2
    while high <= upper and high - low > max(1, low // _FINENESS):
        middle = (low + high) // 2
        middle -= middle % 8 if middle - middle % 8 > low else 0
        if fits(middle):
            low = middle
        else:
            high = middle
    return tried


def search_speed(measure: MeasureFn, sizes: Iterable[int]) -> list[StepCost]:
    """Try growing sizes until they bring no more images per second, or one does not fit.

    Args:
        measure: As of `attempt`.
        sizes: In ascending order.
    """
    tried: list[StepCost] = []
    best, without_gain = 0.0, 0
    for size in sizes:
        cost = attempt(measure, size)
        tried.append(cost)
        if cost.seconds is None:
            break
        without_gain = 0 if cost.speed > _GAIN * best else without_gain + 1
        best = max(best, cost.speed)
        if without_gain >= _PATIENCE:
            break
    return tried


def fastest_enough(costs: Iterable[StepCost]) -> StepCost | None:
    """The smallest size with `NEAR_BEST` of the most images per second; None if none fits."""
    fitting = [cost for cost in costs if cost.seconds is not None]
    best = max((cost.speed for cost in fitting), default=0.0)
    return min((cost for cost in fitting if cost.speed >= NEAR_BEST * best), key=lambda c: c.size, default=None)

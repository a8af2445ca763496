"""Learning-rate schedules: pure functions, named by the rows of `visionkit.settings.SCHEDULES`."""

import math
from collections.abc import Callable
from typing import Any

from visionkit.settings import SCHEDULES, Recipe, Schedule, ShippedSchedule

__all__ = ["constant", "cosine", "make_schedule", "one_cycle", "poly", "step"]


def make_schedule(recipe: Recipe) -> Callable[[int, int], float]:
    """The schedule of a recipe as a pure function: (step, total steps) to a factor of the base learning rate.

    Args:
        recipe: The schedule and the number of epochs.
    """
    schedule = recipe.schedule
    function: Callable[[Any, int, int, int], float] = SCHEDULES.module_of(type(schedule))
    warmup = min(schedule.warmup_epochs / recipe.epochs, 0.5) if schedule.warms_up else 0.0

    def factor(step: int, total: int) -> float:
        total = max(total, 1)
        warmup_steps = round(warmup * total)
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        return function(schedule, step, total, warmup_steps)

    return factor


def constant(schedule: Schedule, step: int, total: int, warmup_steps: int) -> float:
    """The factor 1."""
    return 1.0


def cosine(schedule: ShippedSchedule, step: int, total: int, warmup_steps: int) -> float:
    """Half a cosine from 1 to ``end_factor``.

    It is divided by all remaining steps, not one fewer: the last step's rate is above 0 even if ``end_factor`` is 0.
    """
    return _cosine(1.0, schedule.end_factor, (step - warmup_steps) / (total - warmup_steps))


def step(schedule: ShippedSchedule, step: int, total: int, warmup_steps: int) -> float:
    """``gamma`` to the power of the number of milestones passed."""
    return math.prod(schedule.gamma for milestone in schedule.milestones if step >= milestone * total)


def poly(schedule: ShippedSchedule, step: int, total: int, warmup_steps: int) -> float:
    """From 1 to ``end_factor`` with the share of steps that are left, to the power ``power``; divided as `cosine`."""
    left = 1 - (step - warmup_steps) / (total - warmup_steps)
    return float(schedule.end_factor + (1 - schedule.end_factor) * max(left, 0.0) ** schedule.power)


def one_cycle(schedule: ShippedSchedule, step: int, total: int, warmup_steps: int) -> float:
    """A cosine from ``start_factor`` up to 1, then one down to ``end_factor``."""
    rise_steps = max(schedule.rise * (total - 1), 1e-12)
    if step < rise_steps:
        return _cosine(schedule.start_factor, 1.0, step / rise_steps)
    return _cosine(1.0, schedule.end_factor, (step - rise_steps) / max(total - 1 - rise_steps, 1e-12))


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(fraction, 1.0))) / 2

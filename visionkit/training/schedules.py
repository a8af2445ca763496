"""Learning-rate schedules."""

import math
from collections.abc import Callable
from functools import partial

from visionkit.settings import Recipe, Schedule

__all__ = ["make_schedule", "schedule_factor"]


def make_schedule(recipe: Recipe, *, epochs: int | None = None) -> Callable[[int, int], float]:
    """The schedule of a recipe as a pure function: (step, total steps) to a factor of the base learning rate.

    Args:
        recipe: The schedule and the number of epochs.
        epochs: The number of epochs if it differs from the recipe's.
    """
    warmup = recipe.schedule.warmup_epochs / (epochs or recipe.epochs)
    return partial(schedule_factor, recipe.schedule, warmup=min(warmup, 0.5))


def schedule_factor(schedule: Schedule, step: int, total: int, *, warmup: float) -> float:
    """The learning rate of one optimizer step, as a factor of the base learning rate.

    Args:
        schedule: The type of schedule and its values.
        step: The index of the step, from 0.
        total: The number of steps of the run.
        warmup: The fraction of the run with linear warm-up; ignored by one_cycle.
    """
    total = max(total, 1)
    if schedule.type == "one_cycle":
        rise_steps = max(schedule.rise * (total - 1), 1e-12)
        if step < rise_steps:
            return _cosine(schedule.start_factor, 1.0, step / rise_steps)
        return _cosine(1.0, schedule.end_factor, (step - rise_steps) / max(total - 1 - rise_steps, 1e-12))
    warmup_steps = round(warmup * total)
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if schedule.type == "cosine":
        # Divided by all remaining steps, not one fewer: the last step's rate is above 0 even if end_factor is 0.
        return _cosine(1.0, schedule.end_factor, (step - warmup_steps) / (total - warmup_steps))
    if schedule.type == "step":
        return math.prod(schedule.gamma for milestone in schedule.milestones if step >= milestone * total)
    return 1.0


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(fraction, 1.0))) / 2

"""The learning rate over the optimizer steps."""

import math
from collections.abc import Callable
from functools import partial

from visionkit.settings import Recipe, Schedule

__all__ = ["make_schedule", "schedule_factor"]


def make_schedule(recipe: Recipe, *, epochs: int | None = None) -> Callable[[int, int], float]:
    """The schedule of a recipe as a pure function of (optimizer step, all steps of the run).

    Args:
        recipe: Its schedule and epochs.
        epochs: The epochs really trained, where they are not the recipe's.
    """
    share = recipe.schedule.warmup_epochs / (epochs or recipe.epochs)
    return partial(schedule_factor, recipe.schedule, warmup=min(share, 0.5))


def schedule_factor(schedule: Schedule, step: int, total: int, *, warmup: float) -> float:
    """The learning rate of one optimizer step, as a share of the highest one.

    Args:
        schedule: Kind and values.
        step: 0 for the first step.
        total: Steps of the run.
        warmup: The share of the run that is linear warm-up; one_cycle has none.
    """
    total = max(total, 1)
    if schedule.type == "one_cycle":
        rising = max(schedule.rise * (total - 1), 1e-12)
        if step < rising:
            return _cosine(schedule.start_factor, 1.0, step / rising)
        return _cosine(1.0, schedule.end_factor, (step - rising) / max(total - 1 - rising, 1e-12))
    warmup_steps = round(warmup * total)
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if schedule.type == "cosine":
        # Divided by the steps left, not one fewer: the last step still learns when end_factor is 0.
        return _cosine(1.0, schedule.end_factor, (step - warmup_steps) / (total - warmup_steps))
    if schedule.type == "step":
        return math.prod(schedule.gamma for milestone in schedule.milestones if step >= milestone * total)
    return 1.0


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2

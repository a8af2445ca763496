"""What a run says of its batch and its learning rate before it begins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from visionkit.settings import Debug, Recipe
from visionkit.text import count_of
from visionkit.training.schedules import make_schedule

__all__ = ["batch_note", "rate_note", "steps_note"]

_FEW_STEPS, _MORE_STEPS = 20, 100
_EQUAL_RATES = 0.02
"""The share by which two learning rates differ that are called equal."""


def batch_note(batch_size: int, num_images: int, num_processes: int) -> str | None:
    """What happens if a batch is larger than the training split; None if it is not.

    Args:
        batch_size: ``recipe.batch_size``, over all processes.
        num_images: Those of the training split.
        num_processes: The number of processes.
    """
    if num_images >= batch_size:
        return None
    in_batch = num_images // num_processes * num_processes
    return (
        f"recipe.batch_size={batch_size} is more than the {num_images} training images: an epoch is one batch of "
        f"{in_batch}, one step. For more steps: recipe.batch_size={max(num_processes, in_batch // 4)}"
    )


def steps_note(recipe: Recipe, num_images: int) -> str | None:
    """What a training of few optimizer steps is worth; None for one of more.

    Args:
        recipe: The recipe.
        num_images: Those of the training split.
    """
    batches = max(1, num_images // recipe.batch_size)
    steps = recipe.epochs * max(1, batches // recipe.accumulate)
    if steps >= _FEW_STEPS:
        return None
    epochs = math.ceil(_MORE_STEPS * recipe.epochs / steps)
    return (
        f"{count_of(recipe.epochs, 'epoch')} of {count_of(batches, 'batch')} are {count_of(steps, 'step')} of the "
        f"optimizer in all: a network learns little in so few. For more: recipe.epochs={epochs}, or a smaller "
        f"recipe.batch_size than {recipe.batch_size}"
    )


def rate_note(recipe: Recipe, previous: Mapping[str, Any], *, num_epochs: int, num_images: int) -> str | None:
    """What happens to the learning rate of a run that goes on for another number of epochs; None if nothing does.

    Args:
        recipe: The recipe with which the run goes on.
        previous: The plain configuration with which it was trained so far.
        num_epochs: The epochs behind it.
        num_images: Those of the training split.
    """
    before = Recipe.from_config(previous["recipe"])
    before = replace(before, epochs=Debug.from_config(previous["debug"]).epochs or before.epochs)
    if recipe.epochs == before.epochs or not num_epochs:
        return None
    steps = max(1, num_images // recipe.batch_size)
    old, new = make_schedule(before), make_schedule(recipe)
    position = num_epochs * steps
    last = recipe.lr * old(position - 1, before.epochs * steps)
    expected = recipe.lr * old(min(position, before.epochs * steps - 1), before.epochs * steps)
    following = recipe.lr * new(position, recipe.epochs * steps)
    if abs(following - expected) <= _EQUAL_RATES * max(following, expected):
        return None
    kind = previous["recipe"]["schedule"]["type"]
    return (
        f"the learning rate was {last:.3g} at the end of epoch {num_epochs} and goes on at {following:.3g}: the "
        f"schedule {kind} was made for {before.epochs} epochs, and is now one of {recipe.epochs}. A run of "
        f"{recipe.epochs} epochs from its beginning has no such jump"
    )

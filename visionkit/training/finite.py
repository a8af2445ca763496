"""Whether weights are numbers: those of a model, before a checkpoint is replaced, and those of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from visionkit.backbones.weights.finite import first_non_finite
from visionkit.distributed.comm import all_reduce_sum
from visionkit.errors import UserError
from visionkit.runs.checkpoint_file import Checkpoint, read_checkpoint

if TYPE_CHECKING:
    from visionkit.tasks.base import VisionTask

__all__ = ["check_checkpoint", "check_model", "check_task"]


def check_task(task: VisionTask, *, epoch: int) -> None:
    """Check the weights and buffers of a training, and their average, in all processes, before they are saved.

    Args:
        task: The training.
        epoch: The epoch, from 1.

    Raises:
        UserError: In all processes, if one has a value that is not finite.
    """
    check_model(task.model, epoch=epoch, rate=task.rate, initial=task.initial, averaged=task.average.averaged())


def check_model(
    model: torch.nn.Module,
    *,
    epoch: int,
    rate: float,
    initial: Mapping[str, Tensor] | None = None,
    averaged: Mapping[str, Tensor] | None = None,
) -> None:
    """Check the weights and buffers of a model in all processes.

    Args:
        model: The model.
        epoch: The epoch, from 1.
        rate: The learning rate.
        initial: As in `visionkit.backbones.weights.finite.non_finite`.
        averaged: The average of its weights; None without one.

    Raises:
        UserError: In all processes, if one has a value that is not finite.
    """
    name = first_non_finite(model.state_dict(), initial)
    if name is None and averaged:
        name = first_non_finite(averaged, initial)
        name = None if name is None else f"the average of {name}"
    if all_reduce_sum([int(name is not None)]) == [0]:
        return
    raise UserError(
        f"training diverged: {name or 'a weight'} is not finite after epoch {epoch} (learning rate "
        f"{rate:.3g}), though the losses were. The checkpoints before it are kept. "
        f"Try a smaller rate (recipe.lr={rate / 10:.1g}), or limit the gradients (recipe.clip_norm=1.0)"
    )


def check_checkpoint(checkpoint: Checkpoint, *, best: Path, initial: Mapping[str, Tensor] | None = None) -> None:
    """Check the weights of a checkpoint that a run is to go on from.

    Args:
        checkpoint: The checkpoint.
        initial: As in `visionkit.backbones.weights.finite.non_finite`.
        best: That of the best epoch, which the message names if it is finite.

    Raises:
        UserError: If a value is not finite.
    """
    file = checkpoint.file
    name = (
        first_non_finite(checkpoint.weights, initial)
        or first_non_finite(checkpoint.in_training, initial)
        or first_non_finite(_optimizer_tensors(checkpoint.content))
    )
    if name is None:
        return
    advice = "Begin a new run with a smaller recipe.lr"
    saved = read_checkpoint(best, where="resume").weights if file != best and best.is_file() else None
    if saved is not None and first_non_finite(saved, initial) is None:
        advice = f"The last finite one is '{best}'. To go on from it: cp '{best}' '{file}'"
    raise UserError(f"resume: the weights in '{file}' are not finite, such as '{name}': the run diverged. {advice}")


def _optimizer_tensors(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The moments of the optimizers by name; what is no such state is left out."""
    states = content.get("optimizer_states")
    return {
        f"{name} of the optimizer for parameter {index}": value
        for optimizer in (states if isinstance(states, list) else [])
        if isinstance(optimizer, Mapping) and isinstance(optimizer.get("state"), Mapping)
        for index, moments in optimizer["state"].items()
        if isinstance(moments, Mapping)
        for name, value in moments.items()
        if isinstance(value, Tensor) and value.layout == torch.strided
    }

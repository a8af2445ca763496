"""Stops a run whose loss is NaN or infinite, and names the images of the batch."""

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from visionkit.errors import UserError

__all__ = ["StopOnDivergence"]

MAX_NAMED_FILES = 8


@dataclass
class _Step:
    """A training step whose loss is being copied to the CPU; ``copied`` is None where it already is there."""

    loss: Tensor
    copied: Any
    index: Tensor | None
    epoch: int
    global_step: int
    rate: float


class StopOnDivergence(pl.Callback):
    """Checks the loss of each step without synchronising with the device.

    On the CPU a loss is checked at the end of its step. On other devices it is copied asynchronously and checked some
    steps later, when the copy is complete; the error names the step of the loss. Each epoch ends with a check of all
    losses that are left.
    """

    def __init__(self) -> None:
        self._pending: deque[_Step] = deque()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: dict[str, Tensor], batch_idx: int
    ) -> None:
        """Start to copy the loss of this step, and check the losses whose copies are complete.

        Raises:
            UserError: If a loss is infinite or not a number.
        """
        loss, copied = _copy_to_cpu(pl_module.losses["train"].last)
        self._pending.append(
            _Step(loss, copied, batch.get("index"), trainer.current_epoch + 1, trainer.global_step, pl_module.rate)
        )
        while self._pending and (self._pending[0].copied is None or self._pending[0].copied.query()):
            _check_finite(self._pending.popleft(), trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Check the remaining losses of the epoch.

        Raises:
            UserError: If a loss is infinite or not a number.
        """
        while self._pending:
            step = self._pending.popleft()
            if step.copied is not None:
                step.copied.synchronize()
            _check_finite(step, trainer, pl_module)


def _copy_to_cpu(loss: Tensor) -> tuple[Tensor, Any]:
    """A copy of a loss on the CPU, and the event after which it is complete; None for a loss that is on the CPU."""
    if loss.device.type == "cpu":
        return loss, None
    copy = torch.empty((), dtype=loss.dtype, pin_memory=loss.device.type == "cuda")
    copy.copy_(loss, non_blocking=True)
    copied = torch.Event(loss.device)
    copied.record()
    return copy, copied


def _check_finite(step: _Step, trainer: pl.Trainer, task: Any) -> None:
    loss = float(step.loss)
    if math.isfinite(loss):
        return
    raise UserError(
        f"training diverged: the loss is {loss} in epoch {step.epoch} (step {step.global_step}, "
        f"learning rate {step.rate:.3g}){_describe_files(step.index, trainer)}. Expected a finite number. "
        f"Try a smaller rate (recipe.lr={task.base_rate / 10:.1g}), or limit the gradients (recipe.clip_norm=1.0)"
    )


def _describe_files(index: Tensor | None, trainer: pl.Trainer) -> str:
    datamodule: Any = getattr(trainer, "datamodule", None)
    if datamodule is None or index is None or not len(index):
        return ""
    dataset = datamodule.dataset("train")
    names = ", ".join(dataset.name(position) for position in index[:MAX_NAMED_FILES].tolist())
    more = f" and {len(index) - MAX_NAMED_FILES} more" if len(index) > MAX_NAMED_FILES else ""
    return f", with the images {names}{more}"

"""Stops a run whose loss is NaN or infinite, and names and keeps the images of the batch."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from visionkit.distributed.comm import rank, world_size
from visionkit.errors import UserError
from visionkit.training.nan_batch import NanBatch, holds_step, image_names, write_nan_batch

__all__ = ["StopOnDivergence", "Step", "copy_to_cpu", "describe_step"]

MAX_NAMED_FILES = 8
MAX_COUNT = 3
"""How often a run leaves out a step, or goes back, before it ends."""


@dataclass(frozen=True, eq=False)
class Step:
    """A training step, of which a number is being copied to the CPU.

    Attributes:
        value: The number: the loss, or a flag.
        copied: The event after which it is there; None where it already is.
        batch: What the model was given.
        loss: The loss.
        batch_index: The batch of the epoch, from 0.
        epoch: The epoch, from 1.
        number: The optimizer step, from 1.
        rate: The learning rate.
    """

    value: Tensor
    copied: Any
    batch: dict[str, Tensor]
    loss: Tensor
    batch_index: int
    epoch: int
    number: int
    rate: float

    def has_arrived(self) -> bool:
        """Whether the number is on the CPU."""
        return self.copied is None or bool(self.copied.query())

    def wait(self) -> None:
        """Wait for the number."""
        if self.copied is not None:
            self.copied.synchronize()


class StopOnDivergence(pl.Callback):
    """Checks the loss of each step without synchronising with the device.

    On the CPU a loss is checked before its backward pass: the weights stay what they were. On other devices it is
    copied asynchronously and checked some steps later, when the copy is complete; the error names the step of the loss.
    Each epoch ends with a check of all losses that are left.

    Args:
        nan_batch_file: Where the batch is written to; None to keep none.
        rollbacks: How often the run went back to a checkpoint in this process.

    Attributes:
        skipped: The steps that the run has left out.
        rollbacks: How often the run went back to a checkpoint, each time at half the rate.
    """

    def __init__(self, nan_batch_file: Path | None = None, *, rollbacks: int = 0) -> None:
        self.nan_batch_file = nan_batch_file
        self.skipped, self.rollbacks = 0, rollbacks
        self._pending: deque[Step] = deque()
        self._batch: tuple[dict[str, Tensor], int] = ({}, 0)
        self._copied: tuple[Tensor, Any] | None = None

    @property
    def state_key(self) -> str:
        """That of all classes that look for numbers that are not finite: a resumed run may have another of them."""
        return "StopOnDivergence"

    def state_dict(self) -> dict[str, Any]:
        """What happened so far; empty if nothing did."""
        counts = {"skipped": self.skipped, "rollbacks": self.rollbacks}
        return counts if any(counts.values()) else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what happened so far.

        Raises:
            ValueError: If the state is none that `state_dict` has given.
        """
        counts = [state_dict["skipped"], state_dict["rollbacks"]]
        if not all(type(count) is int and 0 <= count <= MAX_COUNT for count in counts):
            raise ValueError(f"skipped {counts[0]!r} and rollbacks {counts[1]!r}")
        self.skipped, self.rollbacks = counts[0], max(counts[1], self.rollbacks)

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Halve the rates once for each time that the run went back."""
        pl_module.learning_rate.scale = 0.5**self.rollbacks

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: Any, batch: dict[str, Tensor], batch_idx: int
    ) -> None:
        """Keep hold of the batch."""
        self._batch = batch, batch_idx

    def on_before_backward(self, trainer: pl.Trainer, pl_module: Any, loss: Tensor) -> None:
        """Check the loss of this step, or start to copy it.

        Raises:
            UserError: If it is infinite or not a number.
        """
        last: Tensor = pl_module.losses["train"].last
        value, copied = copy_to_cpu(last)
        self._copied = None
        if copied is not None:
            self._copied = value, copied
        elif not math.isfinite(value):
            self._stop(self._step(trainer, pl_module, value, None, number=trainer.global_step + 1), trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: dict[str, Tensor], batch_idx: int
    ) -> None:
        """Check the losses whose copies are complete.

        Raises:
            UserError: If one is infinite or not a number.
        """
        if self._copied is None:
            return
        self._pending.append(self._step(trainer, pl_module, *self._copied, number=trainer.global_step))
        while self._pending and self._pending[0].has_arrived():
            self._check(self._pending.popleft(), trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Check the remaining losses of the epoch.

        Raises:
            UserError: If a loss is infinite or not a number.
        """
        while self._pending:
            step = self._pending.popleft()
            step.wait()
            self._check(step, trainer, pl_module)

    def _step(self, trainer: pl.Trainer, task: Any, value: Tensor, copied: Any, *, number: int) -> Step:
        batch, batch_index = self._batch
        loss: Tensor = task.losses["train"].last
        return Step(value, copied, batch, loss, batch_index, trainer.current_epoch + 1, number, task.rate)

    def _check(self, step: Step, trainer: pl.Trainer, task: Any) -> None:
        if not math.isfinite(step.value):
            self._stop(step, trainer, task)

    def _stop(self, step: Step, trainer: pl.Trainer, task: Any) -> None:
        raise UserError(
            f"training diverged: {describe_step(step, trainer)}. Expected a finite number. "
            f"Try a smaller rate (recipe.lr={task.learning_rate.base / 10:.1g}), or limit the gradients "
            f"(recipe.clip_norm=1.0){self.keep(step, trainer, task)}"
        )

    def keep(self, step: Step, trainer: pl.Trainer, task: Any) -> str:
        """Write the batch of a step into the run's folder; how to replay it, for the end of a message.

        Of several processes one writes whose own loss is not finite, and else the first one. They do not wait for each
        other: on a device that is not waited for they notice at different times.
        """
        file = self.nan_batch_file
        if file is None:
            return ""
        loss = float(step.loss)
        is_own = not math.isfinite(loss)
        if is_own or (rank() == 0 and (world_size() == 1 or not holds_step(file, step.epoch, step.number))):
            kept = NanBatch(
                batch=step.batch, names=image_names(step.batch.get("index"), getattr(trainer, "datamodule", None)),
                weights=task.model.state_dict(), seed=task.seed, epoch=step.epoch, step=step.number,
                batch_index=step.batch_index, process=rank(), loss=loss, rate=step.rate,
            )  # fmt: skip
            write_nan_batch(kept, file)
        return f". Its batch is kept; which layer it was: python -m visionkit train run={file.parent} debug=nan"


def copy_to_cpu(value: Tensor) -> tuple[Tensor, Any]:
    """A copy of a number on the CPU, and the event after which it is complete; None for one that is on the CPU."""
    if value.device.type == "cpu":
        return value, None
    copy = torch.empty((), dtype=value.dtype, pin_memory=value.device.type == "cuda")
    copy.copy_(value, non_blocking=True)
    copied = torch.Event(value.device)
    copied.record()
    return copy, copied


def describe_step(step: Step, trainer: pl.Trainer) -> str:
    """What was not finite, where in the run, and in which images."""
    loss = float(step.loss)
    what = "the gradients are not finite" if math.isfinite(loss) else f"the loss is {loss}"
    names = image_names(step.batch.get("index"), getattr(trainer, "datamodule", None))
    more = f" and {len(names) - MAX_NAMED_FILES} more" if len(names) > MAX_NAMED_FILES else ""
    images = f", with the images {', '.join(names[:MAX_NAMED_FILES])}{more}" if names else ""
    return f"{what} in epoch {step.epoch} (step {step.number}, learning rate {step.rate:.3g}){images}"

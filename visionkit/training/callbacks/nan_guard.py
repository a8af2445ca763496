"""Leaves out steps whose loss or gradients are not finite, or goes back to a checkpoint: ``recipe.on_nan``."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from visionkit.distributed.comm import all_reduce_sum
from visionkit.errors import UserError
from visionkit.training.callbacks.divergence import MAX_COUNT, Step, StopOnDivergence, copy_to_cpu, describe_step

__all__ = ["RollBack", "RollBackOnNan", "SkipOnNan"]

STEPS_BETWEEN_CHECKS = 16
"""Of a run that goes back, on a device that is not waited for: all its processes look in the same steps."""


class RollBack(BaseException):
    """A training is to go back to its last checkpoint.

    Attributes:
        count: How often it has gone back, with this time.
        note: What to say of it.
        seconds: Those of training so far, which `recipe.max_time` limits.
    """

    def __init__(self, count: int, note: str) -> None:
        super().__init__(note)
        self.count, self.note = count, note
        self.seconds = 0.0


@dataclass(frozen=True, eq=False)
class _Flagged:
    """An optimizer step whose flag is being copied to the CPU, with the passes whose gradients it has."""

    value: Tensor
    copied: Any
    passes: list[Step]

    def has_arrived(self) -> bool:
        return self.copied is None or bool(self.copied.query())

    def wait(self) -> None:
        if self.copied is not None:
            self.copied.synchronize()

    def culprit(self) -> Step:
        """The first pass whose loss is not finite; where all are, the last one."""
        return next((step for step in self.passes if not math.isfinite(step.loss)), self.passes[-1])


class SkipOnNan(StopOnDivergence):
    """Leaves out optimizer steps whose loss or gradients are not finite, three times at most in a run.

    Weights and moments of the optimizer, running statistics of norms and the epoch's losses stay as if the step had not
    been; its place in the schedule passes. With accumulated gradients all batches of the step are left out.

    A loss that is not finite makes its gradients so, and processes average these: all take the same decision without a
    word to each other. On a device that is not waited for, torch's fused optimizers take the flag there
    (``found_inf``, as for `torch.amp.GradScaler`); others wait for it in each step. In 16-bit precision the gradients
    are the scaler's own matter, and the losses alone are looked at.

    Args:
        nan_batch_file: Where the batch is written to; None to keep none.
        announce: Prints and records a line.
        rollbacks: As of `StopOnDivergence`.
    """

    advice = "recipe.on_nan=skip has left out"

    def __init__(
        self, nan_batch_file: Path | None = None, *, announce: Callable[[str], Any] = print, rollbacks: int = 0
    ) -> None:
        super().__init__(nan_batch_file, rollbacks=rollbacks)
        self.announce = announce
        self._losses: list[tuple[dict[str, Tensor], int, Tensor]] = []
        self._flagged: deque[_Flagged] = deque()
        self._saved: list[Tensor] = []
        self._flag: Tensor | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Let losses that are not finite stay out of the epoch's mean."""
        super().on_train_start(trainer, pl_module)
        pl_module.losses["train"].finite_only = True
        self._buffers = list(pl_module.model.buffers())
        self._saved = [torch.empty_like(buffer) for buffer in self._buffers]
        self._scales = getattr(trainer.precision_plugin, "scaler", None) is not None

    @torch.no_grad()
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: Any, batch: dict[str, Tensor], batch_idx: int
    ) -> None:
        """Keep the running statistics from before the step."""
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)
        if not self._losses:
            for saved, buffer in zip(self._saved, self._buffers, strict=True):
                saved.copy_(buffer)

    def on_before_backward(self, trainer: pl.Trainer, pl_module: Any, loss: Tensor) -> None:
        """Make the gradients of a loss that is not finite NaN, in whichever way the loss came about."""
        last: Tensor = pl_module.losses["train"].last
        loss.register_hook(lambda gradient: torch.where(last.isfinite(), gradient, math.nan))  # type: ignore[no-untyped-call]
        self._losses.append((*self._batch, last))

    @torch.no_grad()
    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: Any, optimizer: Any) -> None:
        """Leave the step out if it is to be: the optimizer passes over parameters without a gradient.

        Running statistics are restored here already, before an average of the weights takes them up.
        """
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        flag = torch.stack([loss.isfinite().logical_not() for _, _, loss in self._losses]).any()
        if not self._scales:
            flag = flag | _are_finite([p.grad for p in parameters]).logical_not()
        self._flag = flag = self._to_leave_out(flag)
        takes_flag = getattr(optimizer, "_step_supports_amp_scaling", False) and bool(optimizer.state)
        if not _is_on_cpu(flag) and takes_flag and not self._scales:
            optimizer.found_inf = flag.float()
        elif bool(flag):
            for parameter in parameters:
                parameter.grad = None
        if not _is_on_cpu(flag) or bool(flag):
            for saved, buffer in zip(self._saved, self._buffers, strict=True):
                buffer.copy_(torch.where(flag, saved, buffer))

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: dict[str, Tensor], batch_idx: int
    ) -> None:
        """Look at the steps whose flags have arrived.

        Raises:
            UserError: If it was left out, and three were before.
            RollBack: If the run is to go back.
        """
        flag, self._flag = self._flag, None
        if flag is None:  # gradients are being accumulated
            return
        value, copied = copy_to_cpu(flag)
        epoch, number = trainer.current_epoch + 1, trainer.global_step
        passes = [
            Step(loss, None, of_pass, loss, index, epoch, number, pl_module.rate)
            for of_pass, index, loss in self._losses
        ]
        self._flagged.append(_Flagged(value, copied, passes))
        self._losses = []
        if self._is_due(trainer, is_on_cpu=copied is None):
            self._look(trainer, pl_module, wait=False)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Look at the remaining steps of the epoch.

        Raises:
            UserError: If one was left out, and three were before.
            RollBack: If the run is to go back.
        """
        self._look(trainer, pl_module, wait=True)

    def _to_leave_out(self, flag: Tensor) -> Tensor:
        return flag

    def _is_due(self, trainer: pl.Trainer, *, is_on_cpu: bool) -> bool:
        return True

    def _look(self, trainer: pl.Trainer, task: Any, *, wait: bool) -> None:
        """Take the steps whose flags are there, in their order, and act on those that are set."""
        while self._flagged and (wait or self._flagged[0].has_arrived()):
            flagged = self._flagged.popleft()
            flagged.wait()
            if not bool(flagged.value):
                continue
            for each in flagged.passes:
                if not math.isfinite(each.loss):
                    task.losses["train"].discard(len(each.batch["images"]))
            self._act(flagged.culprit(), trainer, task)

    def _act(self, step: Step, trainer: pl.Trainer, task: Any) -> None:
        """Count a step that was left out."""
        advice = self.keep(step, trainer, task)
        if self.skipped == MAX_COUNT:
            raise self._ended(step, trainer, task, advice)
        self.skipped += 1
        self.announce(
            f"{describe_step(step, trainer)}: the step is left out ({self.skipped} of {MAX_COUNT} at most){advice}"
        )

    def _ended(self, step: Step, trainer: pl.Trainer, task: Any, advice: str) -> UserError:
        rate = task.learning_rate.scale * task.learning_rate.base
        return UserError(
            f"training diverged: {describe_step(step, trainer)}, and {self.advice} {MAX_COUNT} before. Expected finite "
            f"numbers. Try a smaller rate (recipe.lr={rate / 10:.1g}), or limit the gradients "
            f"(recipe.clip_norm=1.0){advice}"
        )


class RollBackOnNan(SkipOnNan):
    """Ends the training with `RollBack` at a loss or gradients that are not finite, three times at most in a run.

    From that step on nothing changes the weights until all processes have seen it.
    """

    advice = "recipe.on_nan=rollback has gone back"

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Begin anew."""
        super().on_train_start(trainer, pl_module)
        self._sticky: Tensor | None = None

    def _to_leave_out(self, flag: Tensor) -> Tensor:
        self._sticky = flag if self._sticky is None else self._sticky | flag
        return self._sticky

    def _is_due(self, trainer: pl.Trainer, *, is_on_cpu: bool) -> bool:
        return is_on_cpu or trainer.global_step % STEPS_BETWEEN_CHECKS == 0

    def _look(self, trainer: pl.Trainer, task: Any, *, wait: bool) -> None:
        """Look whether any step so far was bad; on a device that is not waited for, in all processes together."""
        if not self._flagged or self._sticky is None:
            return
        found = bool(self._sticky)
        if not _is_on_cpu(self._sticky):
            found = all_reduce_sum([int(found)]) != [0]
        flagged = [each for each in self._flagged if bool(each.value)] or [self._flagged[-1]]
        self._flagged.clear()
        if found:
            self._act(flagged[0].culprit(), trainer, task)

    def _act(self, step: Step, trainer: pl.Trainer, task: Any) -> None:
        """Go back."""
        advice = self.keep(step, trainer, task)
        if self.rollbacks == MAX_COUNT:
            raise self._ended(step, trainer, task, advice)
        raise RollBack(self.rollbacks + 1, f"{describe_step(step, trainer)}{advice}")


def _is_on_cpu(flag: Tensor) -> bool:
    """Whether reading a flag waits for nothing."""
    return flag.device.type == "cpu"


def _are_finite(tensors: list[Any]) -> Tensor:
    """Whether all values are finite, a scalar bool on their device."""
    norms = torch._foreach_norm(tensors, math.inf)  # that of order 2 overflows earlier
    return torch.stack(list(norms)).isfinite().all()

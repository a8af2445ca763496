"""Stops a run whose loss is no number any more, and names the images it came from."""

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from visionkit.errors import UserError

__all__ = ["Divergence"]

NAMED = 8


@dataclass(frozen=True)
class _Step:
    """One training step whose loss is on its way here."""

    loss: Tensor
    arrived: Any
    index: Tensor
    epoch: int
    number: int
    rate: float
    highest_rate: float


class Divergence(pl.Callback):
    """Looks at the loss of each step without ever waiting for the device.

    On the CPU a loss is there when its step has ended. Elsewhere it is copied behind the step's own work and looked
    at when the copy has arrived, some steps later; the step it belongs to is the one that is named. An epoch ends
    with a look at all of its losses.
    """

    def __init__(self) -> None:
        self._coming: deque[_Step] = deque()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: dict[str, Tensor], batch_idx: int
    ) -> None:
        """Send for the loss of this step, and look at those that have come.

        Raises:
            UserError: If a loss is infinite or not a number.
        """
        loss: Tensor | None = pl_module.losses["train"].last
        if loss is None:  # this process, of several, has had no sample yet
            return
        rates = trainer.optimizers[0].param_groups[0]["lr"], pl_module.base_rates[0]
        index = batch.get("index", torch.empty(0))
        self._coming.append(_Step(*_fetch(loss), index, trainer.current_epoch + 1, trainer.global_step, *rates))
        while self._coming and (self._coming[0].arrived is None or self._coming[0].arrived.query()):
            _check(self._coming.popleft(), trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Look at the last losses of the epoch.

        Raises:
            UserError: If one is infinite or not a number.
        """
        while self._coming:
            step = self._coming.popleft()
            if step.arrived is not None:
                step.arrived.synchronize()
            _check(step, trainer)


def _fetch(loss: Tensor) -> tuple[Tensor, Any]:
    """A copy of a loss on the CPU, and the event after which it can be read; None where it can be at once."""
    if loss.device.type == "cpu":
        return loss, None
    copy = torch.empty((), dtype=loss.dtype, pin_memory=loss.device.type == "cuda")
    copy.copy_(loss, non_blocking=True)
    arrived = torch.Event(loss.device)
    arrived.record()
    return copy, arrived


def _check(step: _Step, trainer: pl.Trainer) -> None:
    loss = float(step.loss)
    if math.isfinite(loss):
        return
    raise UserError(
        f"training diverged: the loss is {loss} in epoch {step.epoch} (step {step.number}, "
        f"learning rate {step.rate:.3g}){_files(step.index, trainer)}. Expected a finite number. Try a smaller rate "
        f"(recipe.lr={step.highest_rate / 10:.1g}), or limit the gradients (recipe.clip_norm=1.0)"
    )


def _files(index: Tensor, trainer: pl.Trainer) -> str:
    data: Any = getattr(trainer, "datamodule", None)
    if data is None or not len(index):
        return ""
    samples = data.dataset("train")
    names = ", ".join(samples.name(number) for number in index[:NAMED].tolist())
    more = f" and {len(index) - NAMED} more" if len(index) > NAMED else ""
    return f", with the images {names}{more}"

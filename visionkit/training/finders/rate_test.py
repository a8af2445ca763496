"""The learning rate range test (Smith 2017, arXiv:1506.01186, section 3.3): a short training whose rate grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from visionkit.data.workers import explain_dead_workers
from visionkit.runs.config import RunConfig
from visionkit.tasks.base import VisionTask
from visionkit.training.finders.options import RateOptions
from visionkit.training.finders.rate_curve import DIVERGED
from visionkit.training.trainer import make_trainer, quiet, raising_interrupts

__all__ = ["run_range_test"]

_BETA = 0.9
"""Of the running mean of the loss that decides when it has diverged."""
_FEWEST_STEPS = 5
"""Before which no loss counts as diverged."""

StepFn = Callable[[int, float, float], None]


def run_range_test(
    config: RunConfig,
    task: VisionTask,
    datamodule: Any,
    options: RateOptions,
    *,
    accelerator: str,
    on_step: StepFn | None = None,
) -> tuple[list[float], list[float]]:
    """Train with rates from ``low`` to ``high``, each a constant factor above the one before, until the loss diverges.

    Everything else is as the recipe says: batches, accumulation, clipping, precision, the ratios between the rates of
    parameter groups.

    Args:
        config: The configuration, for a single process.
        task: A model of the test's own, which is spoilt by it.
        datamodule: Its data.
        options: The range.
        accelerator: ``cuda``, ``mps`` or ``cpu``.
        on_step: Called after each step with its number, its rate and its loss.

    Returns:
        The rates, and the loss of the batch that came after the step of each; the last one may not be finite.
    """
    growth = (options.high / options.low) ** (1 / (options.steps - 1))
    rates = [options.low * growth**step for step in range(options.steps + 1)]
    # As a factor of the recipe's rate it keeps the ratios between groups of parameters.
    task.learning_rate.schedule_fn = lambda step, total: rates[min(step, options.steps)] / config.recipe.lr
    recorder = _Recorder(rates, on_step)
    with quiet(), explain_dead_workers():
        trainer = make_trainer(
            hardware=config.hardware,
            accelerator=accelerator,
            debug=replace(config.debug, limit_batches=None),
            recipe=config.recipe,
            callbacks=[recorder],
        )
        trainer.limit_val_batches = 0
        with raising_interrupts():
            trainer.fit(task, datamodule=datamodule)
    return rates[: len(recorder.losses) - 1], recorder.losses[1:]


class _Recorder(pl.Callback):
    """Records the loss of each optimizer step, and stops."""

    def __init__(self, rates: Sequence[float], on_step: StepFn | None) -> None:
        self.rates, self.on_step = rates, on_step
        self.losses: list[float] = []
        self._of_step: list[Tensor] = []
        self._mean, self._lowest = 0.0, math.inf

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Add the loss of a batch; after the step that it is part of, decide whether to go on."""
        self._of_step.append(pl_module.losses["train"].last)
        if trainer.global_step == len(self.losses):
            return  # gradients are accumulated
        loss = float(torch.stack(self._of_step).mean())
        self._of_step = []
        self.losses.append(loss)
        if self.on_step is not None:
            self.on_step(len(self.losses), self.rates[len(self.losses) - 1], loss)
        trainer.should_stop = len(self.losses) == len(self.rates) or self._has_diverged(loss)

    def _has_diverged(self, loss: float) -> bool:
        if not math.isfinite(loss):
            return True
        count = len(self.losses)
        self._mean = _BETA * self._mean + (1 - _BETA) * loss
        mean = self._mean / (1 - _BETA**count)
        self._lowest = min(self._lowest, mean)
        return count > _FEWEST_STEPS and mean > DIVERGED * self._lowest

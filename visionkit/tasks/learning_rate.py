"""The learning rates of a training, step by step."""

from __future__ import annotations

from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

__all__ = ["LearningRate", "ScheduleFn"]

ScheduleFn = Callable[[int, int], float]
"""(step, total steps) to a factor of the base learning rate."""


class LearningRate:
    """What a schedule makes of the rates of an optimizer's parameter groups.

    Args:
        schedule_fn: The schedule; None to leave the rates as they are.

    Attributes:
        base: ``recipe.lr``: the rate of a parameter group whose ``lr_scale`` is 1, before the schedule.
        group_rates: The rates of the parameter groups before the schedule.
        scale: What the schedule's factor is multiplied by, set before training begins.
    """

    def __init__(self, schedule_fn: ScheduleFn | None) -> None:
        self.schedule_fn = schedule_fn
        self.base, self.scale = 0.0, 1.0
        self.group_rates: list[float] = []
        self._first_scale, self._newest = 1.0, 0.0
        self._schedule: LambdaLR | None = None
        self._total_steps = 0

    @property
    def newest(self) -> float:
        """The rate of the newest optimizer step: ``base`` times the schedule; 0 before the first."""
        return self._newest / self._first_scale

    def set_up(self, optimizer: Optimizer) -> None:
        """Read the rates of a new optimizer."""
        self.group_rates = [group["lr"] for group in optimizer.param_groups]
        self._first_scale = optimizer.param_groups[0].get("lr_scale", 1.0)
        self.base = self.group_rates[0] / self._first_scale

    def start(self, optimizer: Optimizer, *, step: int, total_steps: int) -> None:
        """Begin the schedule at a step, whatever the rates of the checkpoint were that the optimizer was read from."""
        if self.schedule_fn is None:
            return
        self._total_steps = total_steps
        for group, rate in zip(optimizer.param_groups, self.group_rates, strict=True):
            group["initial_lr"] = rate
        if step:  # a run may go on with the validation that follows it
            self._newest = self.group_rates[0] * self._factor(step - 1)
        self._schedule = LambdaLR(optimizer, self._factor, last_epoch=step - 1)

    def before_step(self, optimizer: Optimizer) -> None:
        """Note the rate that a step is done with."""
        self._newest = optimizer.param_groups[0]["lr"]

    def after_step(self) -> None:
        """Set the rates of the next step."""
        if self._schedule is not None:
            self._schedule.step()

    def _factor(self, step: int) -> float:
        return self.scale * (1.0 if self.schedule_fn is None else self.schedule_fn(step, self._total_steps))

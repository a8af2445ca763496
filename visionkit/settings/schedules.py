"""Learning-rate schedules: ``recipe.schedule``."""

from dataclasses import dataclass
from typing import ClassVar

from visionkit.registry import Registry
from visionkit.settings.numbers import Fraction, NonNegative, PositiveFloat

__all__ = ["SCHEDULES", "Constant", "Cosine", "OneCycle", "Poly", "Schedule", "ShippedSchedule", "Step"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The learning rate over the optimizer steps, as a fraction of ``recipe.lr``.

    Attributes:
        warmup_epochs: Epochs of linear warm-up; at most half of the run.
    """

    warmup_epochs: NonNegative

    warms_up: ClassVar[bool] = True
    """Whether ``warmup_epochs`` applies."""


@dataclass(frozen=True, kw_only=True)
class ShippedSchedule(Schedule):
    """The keys that the shipped types share, so that a sweep may vary ``recipe.schedule.type`` alone.

    Attributes:
        end_factor: Final factor of cosine, poly and one_cycle.
        milestones: Fractions of the run at which step multiplies by ``gamma``.
        gamma: The factor of step at each milestone.
        rise: The fraction of the run in which one_cycle rises.
        start_factor: Initial factor of one_cycle.
        power: The exponent of poly.
    """

    end_factor: Fraction
    milestones: tuple[Fraction, ...]
    gamma: Fraction
    rise: Fraction
    start_factor: Fraction
    power: PositiveFloat


_MODULE = "visionkit.training.schedules"

SCHEDULES: Registry[Schedule] = Registry("schedule", base=Schedule)
"""Each class names a function ``(settings, step, total, warmup_steps)`` to the factor of a step after the warm-up."""


@SCHEDULES.register("constant", module=f"{_MODULE}:constant")
@dataclass(frozen=True, kw_only=True)
class Constant(ShippedSchedule):
    """The same rate after the warm-up."""


@SCHEDULES.register("cosine", module=f"{_MODULE}:cosine")
@dataclass(frozen=True, kw_only=True)
class Cosine(ShippedSchedule):
    """Half a cosine down to ``end_factor`` (Loshchilov and Hutter 2017, arXiv:1608.03983)."""


@SCHEDULES.register("step", module=f"{_MODULE}:step")
@dataclass(frozen=True, kw_only=True)
class Step(ShippedSchedule):
    """Multiplied by ``gamma`` at each milestone."""


@SCHEDULES.register("poly", module=f"{_MODULE}:poly")
@dataclass(frozen=True, kw_only=True)
class Poly(ShippedSchedule):
    """The share of steps that are left, to the power ``power``, down to ``end_factor``.

    Chen et al. 2018 (DeepLab, arXiv:1606.00915, section 4.1) take the power 0.9.
    """


@SCHEDULES.register("one_cycle", module=f"{_MODULE}:one_cycle")
@dataclass(frozen=True, kw_only=True)
class OneCycle(ShippedSchedule):
    """A cosine up within ``rise``, then a cosine down (Smith 2018, arXiv:1803.09820)."""

    warms_up = False

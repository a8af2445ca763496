"""Optimizers: ``recipe.optimizer``."""

from dataclasses import dataclass

from visionkit.registry import Registry
from visionkit.settings.numbers import Momentum, NonNegative, PositiveFloat

__all__ = ["OPTIMIZERS", "Adam", "AdamW", "Optimizer", "Sgd"]


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """Settings that all optimizers share; the other fields of a class are arguments of the optimizer it registers.

    Attributes:
        weight_decay: Weight decay of parameters with two or more dimensions; not applied to norms and biases.
    """

    weight_decay: NonNegative


OPTIMIZERS: Registry[Optimizer] = Registry("optimizer", base=Optimizer)


@OPTIMIZERS.register("sgd", module="torch.optim:SGD")
@dataclass(frozen=True, kw_only=True)
class Sgd(Optimizer):
    """Stochastic gradient descent with momentum, as `torch.optim.SGD`."""

    momentum: Momentum
    nesterov: bool


@OPTIMIZERS.register("adam", module="torch.optim:Adam")
@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), as `torch.optim.Adam`."""

    betas: tuple[Momentum, Momentum]
    eps: PositiveFloat


@OPTIMIZERS.register("adamw", module="torch.optim:AdamW")
@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), as `torch.optim.AdamW`."""

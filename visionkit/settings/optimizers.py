"""Optimizers: ``recipe.optimizer``."""

from dataclasses import dataclass

from visionkit.registry import Registry
from visionkit.settings.numbers import Momentum, NonNegative, PositiveFloat, PositiveInt

__all__ = ["OPTIMIZERS", "Adam", "AdamW", "Muon", "Optimizer", "Sgd"]


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


@OPTIMIZERS.register("muon", module="visionkit.training.muon:Muon")
@dataclass(frozen=True, kw_only=True)
class Muon(Optimizer):
    """Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) for hidden filters, AdamW for the rest.

    ``recipe.lr`` is the rate of the filters.

    Attributes:
        momentum: That of the filters.
        nesterov: Whether it is Nesterov's.
        ns_steps: The Newton-Schulz iterations that make an update nearly orthogonal.
        adamw_lr: The peak rate of all other parameters: the first layer, the head, norms and biases.
        betas: Theirs.
        eps: Theirs.
    """

    momentum: Momentum
    nesterov: bool
    ns_steps: PositiveInt
    adamw_lr: PositiveFloat
    betas: tuple[Momentum, Momentum]
    eps: PositiveFloat

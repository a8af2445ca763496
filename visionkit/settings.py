"""Schemas of the groups ``recipe``, ``hardware``, ``logger`` and ``debug``; all default values are in ``conf/``."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from visionkit.errors import UserError
from visionkit.registry import Registry
from visionkit.schema import STRICT, parse, parse_typed

__all__ = [
    "LOGGERS",
    "OPTIMIZERS",
    "Adam",
    "AdamW",
    "Debug",
    "EarlyStopping",
    "Hardware",
    "Logger",
    "NoLogger",
    "Optimizer",
    "Recipe",
    "Schedule",
    "Sgd",
    "TensorBoard",
]

PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
PositiveInt = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """Settings that all optimizers share; the other fields of a class are arguments of the optimizer it registers.

    Attributes:
        weight_decay: Weight decay of parameters with two or more dimensions; not applied to norms and biases.
    """

    weight_decay: NonNegative


OPTIMIZERS: Registry[Optimizer] = Registry("optimizer")


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


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The learning rate over the optimizer steps, as a fraction of ``recipe.lr``.

    All types share one set of keys, so that a sweep may vary ``recipe.schedule.type`` alone.

    Attributes:
        type: constant; cosine (half a cosine down to ``end_factor``); step (multiplied by ``gamma`` at
            each milestone); one_cycle (Smith 2018: a cosine up within ``rise``, then a cosine down).
        warmup_epochs: Epochs of linear warm-up, for all types but one_cycle; at most half of the run.
        end_factor: Final factor of cosine and one_cycle.
        milestones: Fractions of the run at which step multiplies by ``gamma``.
        gamma: The factor of step at each milestone.
        rise: The fraction of the run in which one_cycle rises.
        start_factor: Initial factor of one_cycle.
    """

    __pydantic_config__ = STRICT

    type: Literal["constant", "cosine", "step", "one_cycle"]
    warmup_epochs: NonNegative
    end_factor: Fraction
    milestones: tuple[Fraction, ...]
    gamma: Fraction
    rise: Fraction
    start_factor: Fraction


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """Stop when the validation score of the task has not improved for some epochs."""

    __pydantic_config__ = STRICT

    patience: PositiveInt


@dataclass(frozen=True, kw_only=True)
class _RecipeValues:
    epochs: PositiveInt
    batch_size: PositiveInt
    lr: PositiveFloat
    schedule: Schedule
    clip_norm: PositiveFloat | None
    accumulate: PositiveInt
    early_stopping: EarlyStopping | None


@dataclass(frozen=True, kw_only=True)
class Recipe(_RecipeValues):
    """How a model is trained: the group ``recipe``.

    Attributes:
        epochs: Passes over the training split.
        batch_size: Images per pass through the model, over all devices together.
        lr: The peak learning rate, which the schedule multiplies.
        optimizer: One of those registered in `OPTIMIZERS`.
        schedule: The learning rate over the optimizer steps.
        clip_norm: Maximum L2 norm of all gradients together; None for no clipping.
        accumulate: Batches whose gradients are accumulated for one optimizer step.
        early_stopping: None to train for all epochs.
    """

    optimizer: Optimizer

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> "Recipe":
        """Read the group.

        Raises:
            UserError: For an unknown key, a missing one, or a wrong value.
        """
        plain = dict(values)
        if "optimizer" not in plain:
            raise UserError("recipe.optimizer: this key is required and is not given.")
        optimizer = _parse_optimizer(plain.pop("optimizer"))
        scalars = parse(_RecipeValues, plain, where="recipe")
        return cls(optimizer=optimizer, **{field.name: getattr(scalars, field.name) for field in fields(scalars)})


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """The devices and processes of a run: the group ``hardware``.

    Attributes:
        accelerator: ``auto`` takes CUDA, else Apple's MPS, else the CPU.
        devices: Processes on each machine, each with a GPU or a share of the CPU cores; ``auto`` takes all GPUs.
        num_nodes: Number of machines.
        node_rank: Index of this machine, from 0.
        rendezvous: HOST:PORT of machine 0, to which the others connect; None on a single machine.
        timeout: Seconds that the machines wait for each other there.
        strategy: ``ddp`` replicates the model in each process, ``fsdp`` shards it over them.
        sync_batch_norm: Whether batch norm computes its statistics over the images of all processes.
        precision: ``bf16`` and ``16`` are mixed precision.
        compile: Whether `torch.compile` is applied.
        channels_last: Whether the model uses that memory layout.
    """

    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    devices: PositiveInt | Literal["auto"]
    num_nodes: PositiveInt
    node_rank: Annotated[int, Field(ge=0)]
    rendezvous: str | None
    timeout: PositiveInt
    strategy: Literal["ddp", "fsdp"]
    sync_batch_norm: bool
    precision: Literal["32", "bf16", "16"]
    compile: bool
    channels_last: bool

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> "Hardware":
        """Read the group; for ``precision`` the integers 32 and 16 stand for ``"32"`` and ``"16"``.

        Raises:
            UserError: For an unknown key, a missing one, a wrong value, a ``node_rank`` of ``num_nodes`` or
                more, or a ``rendezvous`` that is not HOST:PORT.
        """
        plain = dict(values)
        if type(plain.get("precision")) is int:
            plain["precision"] = str(plain["precision"])
        hardware = parse(cls, plain, where="hardware")
        if hardware.node_rank >= hardware.num_nodes:
            raise UserError(
                f"hardware.node_rank: found {hardware.node_rank}, but the machines are counted from 0 and there are "
                f"hardware.num_nodes={hardware.num_nodes} of them. Try: hardware.num_nodes={hardware.node_rank + 1}"
            )
        if hardware.rendezvous is not None:
            host, colon, port = hardware.rendezvous.rpartition(":")
            if not (host and colon and port.isdecimal() and 0 < int(port) < 2**16):
                raise UserError(
                    f"hardware.rendezvous: expected HOST:PORT of machine 0, such as 10.0.0.1:29500, "
                    f"found '{hardware.rendezvous}'."
                )
        return hardware


@dataclass(frozen=True, kw_only=True)
class Logger:
    """Where metrics are logged besides the files of the run folder: the group ``logger``.

    Attributes:
        packages: Of these importable names one must be installed; none are needed if it is empty.
    """

    packages: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def from_config(values: Mapping[str, Any]) -> "Logger":
        """Read the group.

        Raises:
            UserError: For an unknown logger, a wrong key or value, or a logger whose package is not installed.
        """
        logger = parse_typed(LOGGERS, values, where="logger")
        if logger.packages and not any(map(find_spec, logger.packages)):
            raise UserError(
                f"logger={LOGGERS.name_of(type(logger))} needs a package that is not installed. "
                f"Try: pip install {logger.packages[0]}, or logger=none"
            )
        return logger


LOGGERS: Registry[Logger] = Registry("logger")
"""Each class names a function from it and the run's folder to a Lightning logger, or to False for none."""


@LOGGERS.register("none", module="visionkit.training.loggers:no_logger")
@dataclass(frozen=True, kw_only=True)
class NoLogger(Logger):
    """The files of the run folder alone."""


@LOGGERS.register("tensorboard", module="visionkit.training.loggers:tensorboard_logger")
@dataclass(frozen=True, kw_only=True)
class TensorBoard(Logger):
    """Event files in ``tensorboard/``."""

    packages: ClassVar[tuple[str, ...]] = ("tensorboard", "tensorboardX")


@dataclass(frozen=True, kw_only=True)
class Debug:
    """Shorter runs: the group ``debug``.

    Attributes:
        limit_batches: Maximum number of batches per epoch and split; None for all.
        epochs: Replaces ``recipe.epochs``; None keeps it.
    """

    limit_batches: PositiveInt | None
    epochs: PositiveInt | None

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> "Debug":
        """Read the group.

        Raises:
            UserError: For an unknown key, a missing one, or a wrong value.
        """
        return parse(cls, values, where="debug")


def _parse_optimizer(values: Any) -> Optimizer:
    """Read ``recipe.optimizer``; if keys do not fit its type, the error names the recipe that has them all."""
    try:
        optimizer = parse_typed(OPTIMIZERS, values, where="recipe.optimizer")
    except UserError as error:
        name = values.get("type") if isinstance(values, Mapping) else values
        if name in OPTIMIZERS.names() and ("unknown key" in str(error) or "is required" in str(error)):
            raise UserError(f"{error} The whole set of {name}: recipe={name}") from None
        raise
    if isinstance(optimizer, Sgd) and optimizer.nesterov and optimizer.momentum == 0:
        raise UserError(
            "recipe.optimizer.nesterov: found true with momentum 0, which has no meaning. "
            "Try: recipe.optimizer.nesterov=false"
        )
    return optimizer

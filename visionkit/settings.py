"""The groups ``recipe``, ``hardware``, ``logger`` and ``debug``; their values live in ``conf/`` alone."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import Field

from visionkit.errors import UserError
from visionkit.registry import Registry
from visionkit.schema import STRICT, parse, parse_typed

__all__ = [
    "OPTIMIZERS",
    "Adam",
    "AdamW",
    "Debug",
    "EarlyStopping",
    "Hardware",
    "Logger",
    "Optimizer",
    "Recipe",
    "Schedule",
    "Sgd",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(gt=0)]


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """What every optimizer has.

    Attributes:
        weight_decay: Decay of parameters with two or more dimensions; norms and biases are spared.
    """

    weight_decay: NotNegative


OPTIMIZERS: Registry[Optimizer] = Registry("optimizer")


@OPTIMIZERS.register("sgd")
@dataclass(frozen=True, kw_only=True)
class Sgd(Optimizer):
    """Stochastic gradient descent with momentum, as `torch.optim.SGD`."""

    momentum: Momentum
    nesterov: bool


@OPTIMIZERS.register("adam")
@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), as `torch.optim.Adam`."""

    betas: tuple[Momentum, Momentum]
    eps: Positive


@OPTIMIZERS.register("adamw")
@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), as `torch.optim.AdamW`."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The learning rate over the optimizer steps, as a share of ``recipe.lr``.

    One set of keys serves every kind, so that ``recipe.schedule.type`` alone can be swept.

    Attributes:
        type: constant; cosine (half a cosine down to ``end_factor``); step (times ``gamma`` at each
            milestone); one_cycle (Smith 2018: a cosine up within ``rise``, then a cosine down).
        warmup_epochs: Length of the linear warm-up of all kinds but one_cycle; at most half of the run.
        end_factor: Where cosine and one_cycle end.
        milestones: Where step drops, as shares of the run.
        gamma: The factor of each drop.
        rise: The share of the run in which one_cycle climbs.
        start_factor: Where one_cycle starts.
    """

    __pydantic_config__ = STRICT

    type: Literal["constant", "cosine", "step", "one_cycle"]
    warmup_epochs: NotNegative
    end_factor: Share
    milestones: tuple[Share, ...]
    gamma: Share
    rise: Share
    start_factor: Share


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """Stop when the validation score of the task has not improved for some epochs."""

    __pydantic_config__ = STRICT

    patience: Count


@dataclass(frozen=True, kw_only=True)
class _RecipeValues:
    epochs: Count
    batch_size: Count
    lr: Positive
    schedule: Schedule
    clip_norm: Positive | None
    accumulate: Count
    early_stopping: EarlyStopping | None


@dataclass(frozen=True, kw_only=True)
class Recipe(_RecipeValues):
    """How a model is trained: the group ``recipe``.

    Attributes:
        epochs: Passes over the training split.
        batch_size: Images per pass through the model, over all devices together.
        lr: The highest learning rate.
        optimizer: One of the kinds in `OPTIMIZERS`.
        schedule: The learning rate over the steps.
        clip_norm: The largest allowed norm of all gradients together; None for no limit.
        accumulate: Passes whose gradients make one optimizer step.
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
    """What a run computes on: the group ``hardware``.

    Attributes:
        accelerator: ``auto`` takes CUDA, else Apple's MPS, else the CPU.
        devices: How many processes on each machine, a GPU or a share of the CPU for each; ``auto`` takes all GPUs.
        num_nodes: Machines.
        node_rank: Which of them this one is, from 0.
        rendezvous: HOST:PORT of machine 0, where they meet.
        timeout: Seconds that they wait there for each other.
        strategy: How several processes share the work: ``ddp`` has the whole model in each, ``fsdp`` a part.
        sync_batch_norm: Whether batch norm sees the images of all processes.
        precision: ``bf16`` and ``16`` are mixed precision.
        compile: Whether `torch.compile` is applied.
        channels_last: Whether convolutions work in that memory layout.
    """

    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    devices: Count | Literal["auto"]
    num_nodes: Count
    node_rank: Annotated[int, Field(ge=0)]
    rendezvous: str | None
    timeout: Count
    strategy: Literal["ddp", "fsdp"]
    sync_batch_norm: bool
    precision: Literal["32", "bf16", "16"]
    compile: bool
    channels_last: bool

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> "Hardware":
        """Read the group; the numbers 32 and 16 are taken for the words.

        Raises:
            UserError: For an unknown key, a missing one, a wrong value, or a machine that is none of ``num_nodes``.
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
    """Where numbers go beside the run folder's own files: the group ``logger``."""

    type: Literal["none", "tensorboard"]

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> "Logger":
        """Read the group.

        Raises:
            UserError: For a wrong key or value, or a logger whose package is not installed.
        """
        logger = parse(cls, values, where="logger")
        if logger.type == "tensorboard":
            from importlib.util import find_spec

            if find_spec("tensorboard") is None and find_spec("tensorboardX") is None:
                raise UserError(
                    "logger=tensorboard needs a package that is not installed. "
                    "Try: pip install tensorboard, or logger=none"
                )
        return logger


@dataclass(frozen=True, kw_only=True)
class Debug:
    """Shorter runs: the group ``debug``.

    Attributes:
        limit_batches: The most batches per epoch and split; None for all.
        epochs: Replaces ``recipe.epochs``; None keeps it.
    """

    limit_batches: Count | None
    epochs: Count | None

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> "Debug":
        """Read the group.

        Raises:
            UserError: For an unknown key, a missing one, or a wrong value.
        """
        return parse(cls, values, where="debug")


def _parse_optimizer(values: Any) -> Optimizer:
    """A kind chosen inside the file of another one lacks its own keys; say which recipe has them."""
    try:
        optimizer = parse_typed(OPTIMIZERS, values, where="recipe.optimizer")
    except UserError as error:
        kind = values.get("type") if isinstance(values, Mapping) else values
        if kind in OPTIMIZERS.names() and ("unknown key" in str(error) or "is required" in str(error)):
            raise UserError(f"{error} The whole set of {kind}: recipe={kind}") from None
        raise
    if isinstance(optimizer, Sgd) and optimizer.nesterov and optimizer.momentum == 0:
        raise UserError(
            "recipe.optimizer.nesterov: found true with momentum 0, which has no meaning. "
            "Try: recipe.optimizer.nesterov=false"
        )
    return optimizer

"""How a model is trained: the group ``recipe``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from visionkit.config_files import group_names
from visionkit.errors import MissingKeyError, UnknownKeyError, UserError
from visionkit.schema import STRICT, Registered, describe, parse
from visionkit.settings.averaging import EmaOrNone
from visionkit.settings.durations import Duration
from visionkit.settings.mixing import MixField
from visionkit.settings.numbers import BatchSize, PositiveFloat, PositiveInt
from visionkit.settings.optimizers import OPTIMIZERS, Optimizer, Sgd
from visionkit.settings.saving import SaveText
from visionkit.settings.schedules import SCHEDULES, Schedule
from visionkit.settings.teacher import Teacher, check_teacher

__all__ = ["EarlyStopping", "Recipe"]


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """Stop when the validation score of the task has not improved for some epochs."""

    __pydantic_config__ = STRICT

    patience: PositiveInt


def _check_early_stopping(value: Any) -> Any:
    if value is None or isinstance(value, Mapping):
        return value
    patience = value if type(value) is int and value > 0 else 5
    raise ValueError(
        f"expected null or {{patience: EPOCHS}}, found {describe(value)}. "
        f"Try: 'recipe.early_stopping={{patience: {patience}}}'"
    )


def _check_unfreeze_at(value: Any) -> Any:
    if value is None or (type(value) is int and 0 < value <= 1_000_000) or (type(value) is float and 0 < value < 1):
        return value
    raise ValueError(
        "expected a number of epochs such as 3, a share of the run such as 0.3, or null for never, found "
        f"{describe(value)}."
    )


def _check_momentum(optimizer: Optimizer) -> Optimizer:
    if isinstance(optimizer, Sgd) and optimizer.nesterov and optimizer.momentum == 0:
        raise ValueError(
            ".nesterov: found true with momentum 0, which has no meaning. Try: recipe.optimizer.nesterov=false"
        )
    return optimizer


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained.

    Attributes:
        epochs: Passes over the training split.
        batch_size: Images per pass through the model, over all devices together.
        lr: The peak learning rate, which the schedule multiplies.
        optimizer: One of those registered in `OPTIMIZERS`.
        schedule: The learning rate over the optimizer steps, one of `SCHEDULES`.
        clip_norm: Maximum L2 norm of all gradients together; None for no clipping.
        accumulate: Batches whose gradients are accumulated for one optimizer step.
        early_stopping: None to train for all epochs.
        ema: The moving average of the weights that is evaluated and exported; None for the weights themselves.
        checkpoint_every: How often the run is saved within an epoch; None for never.
        layer_decay: The learning rate of the last stage of the backbone as a share of ``lr``, of the stage before it as
            a share of that, and so on to the first (Clark et al. 2020, ELECTRA, arXiv:2003.10555, section 3.1); neck
            and head have the whole rate. None for one rate.
        backbone_lr: What the learning rates of the whole backbone are multiplied by; None for 1.
        freeze: The first stages of the backbone, which are not trained; None for none.
        unfreeze_at: The epochs after which they are trained after all, or a share of the run below 1; None for never.
        max_time: Seconds after which training ends, typed as ``20m``; None for all epochs.
        mix: How the images of a batch are mixed with each other, see `visionkit.settings.mixing.Mix`; None for not.
        on_nan: What happens to a step whose loss or gradients are not finite: ``stop`` ends the run, ``skip`` leaves
            the step out, ``rollback`` goes back to the last checkpoint at half the rate.
        teacher: The model whose outputs or features are learnt as well; None for none.
    """

    epochs: PositiveInt
    batch_size: BatchSize
    lr: Annotated[float, Field(gt=0, le=1e30, allow_inf_nan=False)]
    optimizer: Annotated[Optimizer, Registered(OPTIMIZERS), AfterValidator(_check_momentum)]
    schedule: Annotated[Schedule, Registered(SCHEDULES)]
    clip_norm: PositiveFloat | None
    accumulate: PositiveInt
    early_stopping: Annotated[EarlyStopping | None, BeforeValidator(_check_early_stopping)]
    ema: EmaOrNone
    checkpoint_every: SaveText
    mix: MixField
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None
    backbone_lr: PositiveFloat | None
    freeze: PositiveInt | None
    unfreeze_at: Annotated[int | float | None, BeforeValidator(_check_unfreeze_at)]
    max_time: Duration | None
    on_nan: Literal["stop", "skip", "rollback"]
    teacher: Annotated[Teacher | None, BeforeValidator(check_teacher)]

    def __post_init__(self) -> None:
        if self.unfreeze_at is not None and self.freeze is None:
            raise ValueError(
                f".unfreeze_at: found {describe(self.unfreeze_at)}, but nothing is frozen: recipe.freeze is null. "
                "Expected both or neither. Try: recipe.freeze=2, or recipe.unfreeze_at=null"
            )

    @property
    def thaw_epoch(self) -> int | None:
        """The first epoch, from 0, in which frozen stages are trained; None if none are frozen, or they stay so."""
        if self.freeze is None or self.unfreeze_at is None:
            return None
        epoch = self.unfreeze_at if isinstance(self.unfreeze_at, int) else round(self.unfreeze_at * self.epochs)
        return max(1, epoch)

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> "Recipe":
        """Read the group.

        Raises:
            UserError: For an unknown key, a missing one, or a wrong value; where keys do not fit the type of the
                optimizer, the message names the recipe that has them all.
        """
        try:
            return parse(cls, values, where="recipe")
        except (MissingKeyError, UnknownKeyError) as error:
            optimizer = values.get("optimizer")
            name = optimizer.get("type") if isinstance(optimizer, Mapping) else optimizer
            if error.parent != "recipe.optimizer" or name not in group_names("recipe"):
                raise
            raise UserError(f"{error} The whole set of {name}: recipe={name}") from None

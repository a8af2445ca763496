"""How a model is trained: the group ``recipe``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from visionkit.config_files import group_names
from visionkit.errors import MissingKeyError, UnknownKeyError, UserError
from visionkit.schema import STRICT, Registered, describe, parse
from visionkit.settings.numbers import BatchSize, PositiveFloat, PositiveInt
from visionkit.settings.optimizers import OPTIMIZERS, Optimizer, Sgd
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
    on_nan: Literal["stop", "skip", "rollback"]
    teacher: Annotated[Teacher | None, BeforeValidator(check_teacher)]

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

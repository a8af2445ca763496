"""The moving average of the weights: ``recipe.ema``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from visionkit.schema import STRICT, describe

__all__ = ["Ema", "EmaOrNone"]


@dataclass(frozen=True, kw_only=True)
class Ema:
    """An exponential moving average of the weights over the optimizer steps.

    Attributes:
        decay: What is kept of the average in a step, 0 up to, without, 1.
        warmup: Whether the decay climbs from 0, so that the average of a short run is one of its last part.
    """

    __pydantic_config__ = STRICT

    decay: Annotated[float, Field(ge=0, lt=1)]
    warmup: bool


def _check_ema(value: Any) -> Any:
    if value is None or (isinstance(value, Mapping) and {"decay", "warmup"} <= value.keys()):
        return value
    of_mapping = value.get("decay") if isinstance(value, Mapping) else value
    decay = of_mapping if isinstance(of_mapping, float) and 0 <= of_mapping < 1 else 0.9998
    raise ValueError(
        f"expected null or {{decay: SHARE, warmup: true or false}}, found {describe(value)}. "
        f"Try: 'recipe.ema={{decay: {decay}, warmup: true}}'"
    )


EmaOrNone = Annotated[Ema | None, BeforeValidator(_check_ema)]
"""The type of ``recipe.ema``."""

"""Mixing the images of a training batch with each other: ``recipe.mix``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from visionkit.schema import STRICT, describe
from visionkit.settings.numbers import Fraction

__all__ = ["Mix", "MixField", "is_within_last"]

Alpha = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]

_EXAMPLE = {"mixup": 0.2, "cutmix": 1.0, "p": 0.5, "off_last": 0.1}
"""What a message shows, not a default."""


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Each image of a training batch is mixed with another of the batch, and its target likewise.

    Attributes:
        mixup: Both parameters of the Beta distribution of mixup's share (Zhang et al. 2018, arXiv:1710.09412); 0 for
            no mixup.
        cutmix: The same of cutmix (Yun et al. 2019, arXiv:1905.04899). Of both, each batch draws one.
        p: The probability that a batch is mixed.
        off_last: The share of the epochs, the last ones, in which none is.
    """

    __pydantic_config__ = STRICT

    mixup: Alpha
    cutmix: Alpha
    p: Fraction
    off_last: Fraction

    def __post_init__(self) -> None:
        if not self.mixup and not self.cutmix:
            raise ValueError(
                "expected mixup or cutmix above 0, found 0 for both: nothing would be mixed. Try: recipe.mix=null"
            )


def _check_mix(value: Any) -> Any:
    if value is None or (isinstance(value, Mapping) and (not value.keys() <= _EXAMPLE.keys() or len(value) == 4)):
        return value  # an unknown key or a wrong value is named by itself
    typed = value if isinstance(value, Mapping) else {}
    absent = {"mixup": 0, "cutmix": 0} if typed.keys() & {"mixup", "cutmix"} else {}
    words = ", ".join(f"{key}: {json.dumps(number)}" for key, number in {**_EXAMPLE, **absent, **typed}.items())
    raise ValueError(
        f"expected null or {{mixup: ALPHA, cutmix: ALPHA, p: PROBABILITY, off_last: SHARE}}, found {describe(value)}. "
        f"Try: 'recipe.mix={{{words}}}'"
    )


MixField = Annotated[Mix | None, BeforeValidator(_check_mix)]
"""A field that is null or has all keys of `Mix`."""


def is_within_last(share: float, progress: float) -> bool:
    """Whether an epoch lies within the last share of all, such as the last of ten in the last 0.1.

    Args:
        share: 0 to 1.
        progress: The share of all epochs that lie behind it, 0 for the first.
    """
    return share > 0 and progress >= 1 - share - 1e-9

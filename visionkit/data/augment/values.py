"""The types of augmentations' arguments, with the values that torchvision takes; needs no torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field, PlainValidator

from visionkit.schema import describe

__all__ = [
    "Angles",
    "Beta",
    "Count",
    "Enlargement",
    "Fill",
    "Jitter",
    "Limits",
    "OptionalRange",
    "Probability",
    "Range",
    "Shares",
    "Shears",
]


def _checked(is_valid: Callable[[Any], bool], expected: str) -> Any:
    def check(value: Any) -> Any:
        if not is_valid(value):
            raise ValueError(f"expected {expected}, found {describe(value)}.")
        return tuple(value) if isinstance(value, list) else value

    return PlainValidator(check)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _are_numbers(value: Any, *lengths: int) -> bool:
    return isinstance(value, (list, tuple)) and len(value) in lengths and all(_is_number(part) for part in value)


def _is_range(value: Any, low: float = -math.inf) -> bool:
    return _are_numbers(value, 2) and low <= value[0] <= value[1]


def _are_angles(value: Any) -> bool:
    return (_is_number(value) and value >= 0) or _is_range(value)


def _are_shears(value: Any) -> bool:
    ranges = [value[:2], value[2:]] if _are_numbers(value, 4) else []
    return value is None or _are_angles(value) or (bool(ranges) and all(map(_is_range, ranges)))


def _are_shares(value: Any) -> bool:
    return value is None or (_are_numbers(value, 2) and all(0 <= part <= 1 for part in value))


_ONE_OR_TWO = "a number or two, such as 5 or [-5, 5], the smaller one first"
_TWO = "two numbers, such as [0.1, 0.2], above 0 and the smaller one first"
_ABOVE_0 = math.ulp(0.0)

Pair = tuple[float, float]
Probability = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(gt=0, le=1000)]
Fill = Annotated[float, Field(ge=0, le=255)]
Count = Annotated[int, Field(ge=0, le=4096)]
Angles = Annotated[float | Pair, _checked(_are_angles, _ONE_OR_TWO)]
Shears = Annotated[float | Pair | tuple[float, float, float, float] | None, _checked(_are_shears, _ONE_OR_TWO)]
Shares = Annotated[Pair | None, _checked(_are_shares, "two shares of the size from 0 to 1, such as [0.1, 0.1]")]
Range = Annotated[Pair, _checked(lambda value: _is_range(value, _ABOVE_0), _TWO)]
OptionalRange = Annotated[Pair | None, _checked(lambda value: value is None or _is_range(value, _ABOVE_0), _TWO)]
Enlargement = Annotated[
    Pair, _checked(lambda value: _is_range(value, 1), "two numbers from 1 on, such as [1, 4], the smaller one first")
]
Limits = Annotated[Pair, _checked(lambda value: _are_numbers(value, 2), "two numbers, such as [0.1, 0.2]")]
Jitter = Annotated[
    float | Pair | None,
    _checked(
        lambda value: value is None or _is_number(value) or _are_numbers(value, 2),
        "a number or two, such as 0.4 or [0.6, 1.4]",
    ),
]

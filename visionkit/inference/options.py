"""The options of ``predict`` that shape predictions, validated without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from visionkit.errors import UserError
from visionkit.schema import describe, quote
from visionkit.sizes import Size

__all__ = ["PredictOptions"]


@dataclass(frozen=True)
class PredictOptions:
    """Options of predictions; each task supports some of them.

    Attributes:
        min_score: Objects with a lower score are not drawn, classes with a lower one not said of an image, 0 to 1; None
            for the task's default.
        window: Height and width in pixels of windows that slide over each image, ``auto`` for the size the run was
            trained at; None for whole images.
        overlap: The fraction of a window shared with its neighbour, 0 to 0.9; None for the default.
        max_pixels: Images of more pixels are not read whole; None for the limit of the run's data set.
        max_detections: The most objects of one image, whole or by windows; None for the number of the run's head.
        value_range: The values of images of more than 8 bits or of floats that are read as 0 and 255; None for those
            that the run was trained on.
    """

    min_score: float | None = None
    window: tuple[int, int] | Literal["auto"] | None = None
    overlap: float | None = None
    max_pixels: int | None = None
    max_detections: int | None = None
    value_range: tuple[float, float] | None = None

    @classmethod
    def read(cls, overrides: Mapping[str, Any]) -> PredictOptions:
        """Parse and validate the user's overrides; other keys are ignored.

        Raises:
            UserError: If a value is invalid.
        """
        overrides = {key: _plain(value) for key, value in overrides.items()}
        options = cls(
            min_score=_fraction(overrides, "min_score", maximum=1.0, example=0.5),
            window=_parse_window(overrides.get("window")),
            overlap=_fraction(overrides, "overlap", maximum=0.9, example=0.25),
            max_pixels=_count(overrides, "max_pixels", things="pixels", example=400_000_000),
            max_detections=_count(overrides, "max_detections", things="objects", example=1000),
            value_range=_parse_range(overrides.get("value_range")),
        )
        if options.overlap is not None and options.window is None:
            raise UserError(
                f"overlap: found {options.overlap:g}, but there are no windows that could overlap. "
                f"Try: window=512 overlap={options.overlap:g}"
            )
        return options

    def allow(self, *names: str, reason: str) -> None:
        """Refuse options that the task of a run does not support.

        Args:
            names: The supported options.
            reason: The clause of the error that says what the run does instead, such as "this run classifies: ...".

        Raises:
            UserError: For the first other option that was given.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and field.name not in (*names, "max_pixels", "value_range"):
                shown = f"{value:g}" if isinstance(value, float) else describe(value).strip('"')
                raise UserError(f"{field.name}: found {shown}, but {reason} {_APPLIES_TO[field.name]} Leave it out.")


_MAX_VALUE = 1e18
_WINDOW = Size(65_536, example=512, alternatives=" or auto")
_APPLIES_TO = {
    "min_score": "min_score is for runs that find objects or several classes: task=detect, instance or multilabel.",
    "window": "window is for runs of task=segment, detect or instance.",
    "max_detections": "max_detections is for runs that find objects: task=detect or instance.",
    "overlap": "overlap is for runs of task=segment, detect or instance.",
}


def _plain(value: Any) -> Any:
    """Numbers of NumPy and torch as Python's own."""
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _fraction(overrides: Mapping[str, Any], key: str, *, maximum: float, example: float) -> float | None:
    value = overrides.get(key)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= maximum):
        return value if value is None else float(value)
    raise UserError(f"{key}: expected a number from 0 to {maximum:g}, found {_quote(value)}. Try: {key}={example:g}")


def _parse_window(value: Any) -> tuple[int, int] | Literal["auto"] | None:
    if value is None or value == "auto":
        return value  # type: ignore[no-any-return]
    try:
        size = _WINDOW.parse(value)
    except ValueError as error:
        raise UserError(f"window: {error} window=auto is the size that the run was trained at.") from None
    return (size, size) if isinstance(size, int) else size


def _count(overrides: Mapping[str, Any], key: str, *, things: str, example: int) -> int | None:
    value = overrides.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise UserError(f"{key}: expected a whole number of {things} above 0, found {_quote(value)}. Try: {key}={example}")


def _parse_range(value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    numbers = list(value) if isinstance(value, list | tuple) else []
    if (
        len(numbers) == 2
        and all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers)
        and -_MAX_VALUE < numbers[0] < numbers[1] < _MAX_VALUE
    ):
        return float(numbers[0]), float(numbers[1])
    raise UserError(
        f"value_range: expected the values that are black and white, the lower first, found {_quote(value)}. "
        "Try: value_range=[0,65535]"
    )


def _quote(value: Any) -> str:
    return quote(value) if isinstance(value, str) else f"'{describe(value)}'"

"""The keys that ``predict`` has of its own, checked without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from visionkit.errors import UserError
from visionkit.schema import describe

__all__ = ["PredictOptions"]


@dataclass(frozen=True)
class PredictOptions:
    """What a person may wish of predictions; each task takes some of it.

    Attributes:
        min_score: Objects with a lower score are not drawn; None for the task's own.
        window: Height and width in pixels of windows that slide over each image, ``auto`` for the size the run was
            trained at; None looks at each image as a whole.
        overlap: The share of a window that neighbours have in common; None for the usual one.
    """

    min_score: float | None = None
    window: tuple[int, int] | Literal["auto"] | None = None
    overlap: float | None = None

    @classmethod
    def read(cls, typed: Mapping[str, Any]) -> PredictOptions:
        """What was typed; keys that are not the options' own are passed over.

        Raises:
            UserError: If a value is none of those expected.
        """
        options = cls(
            min_score=_share(typed, "min_score", most=1.0, such_as=0.5),
            window=_window(typed.get("window")),
            overlap=_share(typed, "overlap", most=0.9, such_as=0.25),
        )
        if options.overlap is not None and options.window is None:
            raise UserError(
                f"overlap: found {options.overlap:g}, but there are no windows that could overlap. "
                f"Try: window=512 overlap={options.overlap:g}"
            )
        return options

    def allow(self, *names: str, because: str) -> None:
        """Refuse what the task of a run knows nothing of.

        Args:
            names: What it knows.
            because: What it does instead, as in "this run classifies: ...".

        Raises:
            UserError: For the first other option that was given.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and field.name not in names:
                shown = f"{value:g}" if isinstance(value, float) else describe(value).strip('"')
                raise UserError(f"{field.name}: found {shown}, but {because} {_MEANT_FOR[field.name]} Leave it out.")


_MEANT_FOR = {
    "min_score": "min_score is for runs that find objects: task=detect, task=instance.",
    "window": "window is for runs of task=segment.",
    "overlap": "overlap is for runs of task=segment.",
}


def _share(typed: Mapping[str, Any], key: str, *, most: float, such_as: float) -> float | None:
    value = typed.get(key)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most):
        return value if value is None else float(value)
    raise UserError(f"{key}: expected a number from 0 to {most:g}, found {_quoted(value)}. Try: {key}={such_as:g}")


def _window(value: Any) -> tuple[int, int] | Literal["auto"] | None:
    if value is None or value == "auto":
        return value  # type: ignore[no-any-return]
    sides = value if isinstance(value, list) else [value, value]
    if len(sides) == 2 and all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides):
        return sides[0], sides[1]
    raise UserError(
        f"window: expected a number of pixels, [height, width] or auto, found {_quoted(value)}. "
        "Try: window=512, or window=auto for the size that the run was trained at"
    )


def _quoted(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else f"'{describe(value)}'"

"""How often a run is saved within an epoch: ``recipe.checkpoint_every``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

from visionkit.schema import describe
from visionkit.settings.durations import is_duration, parse_duration

__all__ = ["SaveInterval", "SaveText"]

_STEPS = re.compile(r"(\d{1,9}) ?steps?")


@dataclass(frozen=True)
class SaveInterval:
    """After which time, or how many optimizer steps, a run is saved; one of both is None.

    Attributes:
        seconds: Since the last time that it was saved.
        steps: A run is saved after each multiple of them.
    """

    seconds: int | None = None
    steps: int | None = None

    @classmethod
    def parse(cls, text: str) -> SaveInterval:
        """Read ``30s``, ``10m``, ``1h30m`` or ``200 steps``.

        Raises:
            ValueError: If it is none of them, or zero.
        """
        if is_duration(text):
            return cls(seconds=parse_duration(text))
        found = _STEPS.fullmatch(text)
        if found is None or int(found[1]) == 0:
            raise ValueError(_expected(text))
        return cls(steps=int(found[1]))


def _check(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(_expected(value))
    SaveInterval.parse(value)
    return value


def _expected(value: Any) -> str:
    number = value if type(value) is int and value > 0 else 200
    return (
        "expected a duration such as 30s, 10m or 1h30m, a number of optimizer steps, or null, found "
        f"{describe(value)}. Try: recipe.checkpoint_every=10m, or 'recipe.checkpoint_every={number} steps'"
    )


SaveText = Annotated[str | None, BeforeValidator(_check)]
"""The type of ``recipe.checkpoint_every``: what `SaveInterval.parse` reads, or None."""

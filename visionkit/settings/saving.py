"""How often a run is saved within an epoch: ``recipe.checkpoint_every``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

from visionkit.schema import describe

__all__ = ["SaveInterval", "SaveText"]

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_TEXT = re.compile(r"(\d{1,9}) ?(s|m|h|steps?)")


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
        """Read ``30s``, ``10m``, ``1h`` or ``200 steps``.

        Raises:
            ValueError: If it is none of them, or zero.
        """
        found = _TEXT.fullmatch(text)
        if found is None or int(found[1]) == 0:
            raise ValueError(_expected(text))
        number, unit = int(found[1]), found[2]
        return cls(seconds=number * _SECONDS[unit]) if unit in _SECONDS else cls(steps=number)


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
        "expected a whole number of seconds, minutes, hours or optimizer steps, or null, "
        f"found {describe(value)}. Try: recipe.checkpoint_every=10m, or 'recipe.checkpoint_every={number} steps'"
    )


SaveText = Annotated[str | None, BeforeValidator(_check)]
"""The type of ``recipe.checkpoint_every``: what `SaveInterval.parse` reads, or None."""

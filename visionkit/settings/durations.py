"""Durations as people type them: ``30s``, ``20m``, ``1h``, ``1h30m``."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from visionkit.schema import describe

__all__ = ["Duration", "describe_duration", "is_duration", "parse_duration"]

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PATTERN = re.compile("".join(rf"(?:(\d{{1,7}}){unit})?" for unit in _UNITS))


def parse_duration(value: Any) -> int:
    """The seconds of a word such as ``1h30m``.

    Raises:
        ValueError: If it is none, or of zero seconds.
    """
    match = _PATTERN.fullmatch(value) if isinstance(value, str) else None
    counts = [int(count or 0) for count in match.groups()] if match else []
    if not any(counts):
        number = value if type(value) is int and 0 < value < 10_000_000 else None
        raise ValueError(
            f"expected a duration such as 30s, 20m, 1h or 1h30m (days d, hours h, minutes m, seconds s, in this "
            f"order), found {describe(value)}.{'' if number is None else f' In seconds: {number}s'}"
        )
    return sum(count * seconds for count, seconds in zip(counts, _UNITS.values(), strict=True))


Duration = Annotated[int, BeforeValidator(parse_duration), Field(gt=0)]
"""Seconds, read from a word such as ``1h30m``."""


def is_duration(text: str) -> bool:
    """Whether a word is a duration above zero."""
    match = _PATTERN.fullmatch(text)
    return match is not None and any(int(count or 0) for count in match.groups())


def describe_duration(seconds: float) -> str:
    """A time as it is typed, to the second: ``1h30m``; ``0s`` for less than half a second."""
    left, text = round(seconds), ""
    for unit, length in _UNITS.items():
        count, left = divmod(left, length)
        text += f"{count}{unit}" if count else ""
    return text or "0s"

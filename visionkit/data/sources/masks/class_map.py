"""``dataset.class_map``: which class each value of a mask stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from visionkit.data.mask_values import encode_colour
from visionkit.errors import UserError
from visionkit.schema import describe

__all__ = ["MAX_ID", "ClassMap"]

MAX_ID = (1 << 16) - 1
"""The largest value of a mask of ids."""

_RANGE = re.compile(r"(\d{1,5})(?:\s*-\s*(\d{1,5}))?")


@dataclass(frozen=True)
class ClassMap:
    """The parsed ``dataset.class_map``.

    Attributes:
        names: The class name of each value, an id or the `encode_colour` of a colour; None if it is ignored.
        coloured: Whether values are colours.
    """

    names: Mapping[int, str | None]
    coloured: bool

    @classmethod
    def parse(cls, class_map: Mapping[str, str | None]) -> ClassMap:
        """Parse ``{"7": road}``, ``{"0-127": ground}`` or ``{"128,64,128": road}``.

        Raises:
            UserError: If a key is neither an id, a range of ids nor a colour, both kinds are mixed, or an id is there
                twice.
        """
        ids = {key: _ids(key) for key in class_map}
        colours = {key: _colour(key) for key in class_map}
        is_coloured = [colours[key] is not None for key in class_map]
        invalid = next((key for key in class_map if not ids[key] and colours[key] is None), None)
        if invalid is not None or any(is_coloured) != all(is_coloured):
            raise UserError(
                f"dataset.class_map: expected ids or colours as keys, all of one kind, found "
                f"{describe(invalid if invalid is not None else list(class_map))}. Try: "
                "'dataset.class_map={0: sky, 1: road}', {0-127: background, 128-255: object} or, for colours, "
                r"{128\,64\,128: road}; in a file '128,64,128': road"
            )
        values = {key: [code] if (code := colours[key]) is not None else ids[key] for key in class_map}
        names = {value: class_map[key] for key, key_values in values.items() for value in key_values}
        if len(names) < sum(map(len, values.values())):
            duplicate = next(_duplicates(value for key_values in values.values() for value in key_values))
            raise UserError(
                f"dataset.class_map: the value {duplicate} is there twice. Expected one class for each value."
            )
        return cls(names, any(is_coloured))


def _ids(key: str) -> range:
    """The ids that a key stands for: one, or a range with both ends; none if it is no id."""
    match = _RANGE.fullmatch(key.strip())
    if match is None:
        return range(0)
    first = int(match[1])
    last = int(match[2] or match[1])
    return range(first, last + 1) if last <= MAX_ID else range(0)


def _colour(key: str) -> int | None:
    text = key.strip()
    if text.startswith("#") and len(text) == 7:
        try:
            return int(text[1:], 16)
        except ValueError:
            return None
    parts = [part.strip() for part in text.strip("()[]").split(",")]
    if len(parts) == 3 and all(part.isdecimal() and int(part) < 256 for part in parts):
        return encode_colour(*map(int, parts))
    return None


def _duplicates(values: Iterator[int]) -> Iterator[int]:
    seen: set[int] = set()
    for value in values:
        if value in seen:
            yield value
        seen.add(value)

"""Ids of images and categories in COCO's files, which tools write as numbers or as text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

__all__ = ["FileId", "find_ids", "normalize_id"]

FileId = int | str

_NUMBER = re.compile(r"[+-]?\d{1,4000}", re.ASCII)


def normalize_id(value: Any) -> FileId | None:
    """An id by the one rule: ``15``, ``15.0``, ``"15"`` and ``" 015"`` are the number 15, other texts are themselves.

    Returns:
        The id; None for what is none: null, true, false, an empty text, a list, a mapping, or a fraction.
    """
    if type(value) is int:
        return value
    if type(value) is float:
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        text = value.strip()
        return int(text) if _NUMBER.fullmatch(text) else text or None
    return None


def find_ids(values: Sequence[Any], positions: Mapping[FileId, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The position of each of n ids, int64 (n,), -1 where there is none; and which are ids at all, bool (n,)."""
    if set(map(type, values)) <= {int}:
        ids: Sequence[FileId | None] = values
        valid = numpy.ones(len(values), dtype=bool)
    else:
        ids = [normalize_id(value) for value in values]
        valid = numpy.array([number is not None for number in ids], dtype=bool)
    found = [positions.get(number, -1) for number in ids]  # type: ignore[arg-type]
    return numpy.array(found, dtype=numpy.int64), valid

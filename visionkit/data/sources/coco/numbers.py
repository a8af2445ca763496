"""Columns of numbers from the entries of JSON files, judged entry by entry whether one of them is odd or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

__all__ = ["read_rows", "read_scalars"]


def read_rows(values: Sequence[Any], length: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Lists of numbers as rows, float64 (n, length), and which of them are lists of so many numbers, bool (n,)."""
    try:
        rows = numpy.array(values, dtype=numpy.float64)
        if rows.shape == (len(values), length):
            return rows, numpy.ones(len(values), dtype=bool)
    except (TypeError, ValueError, OverflowError):
        pass
    rows, valid = numpy.full((len(values), length), numpy.nan), numpy.zeros(len(values), dtype=bool)
    for index, value in enumerate(values):
        try:
            row = numpy.array(value, dtype=numpy.float64)
        except (TypeError, ValueError, OverflowError):
            continue
        if row.shape == (length,):
            rows[index], valid[index] = row, True
    return rows, valid


def read_scalars(values: Sequence[Any]) -> NDArray[Any]:
    """Numbers, float64 (n,), NaN for what is none."""
    try:
        column = numpy.array(values, dtype=numpy.float64)
        if column.shape == (len(values),):
            return column
    except (TypeError, ValueError, OverflowError):
        pass
    return read_rows([[value] for value in values], 1)[0][:, 0]

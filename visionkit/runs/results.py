"""Readers of the files with a run's numbers, which may be damaged or of another program."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from visionkit.errors import UserError
from visionkit.files import read_json, read_text

__all__ = ["read_history", "read_metrics", "read_rows"]


def read_history(file: Path) -> list[dict[str, float]]:
    """The rows of ``metrics.csv``, without empty cells, one per epoch from 1; none if there is no such file.

    Raises:
        UserError: If the file is damaged, or is not what train wrote.
    """
    if not file.exists():
        return []
    try:
        header, *table = read_rows(file)
        if "epoch" not in header:
            raise ValueError("it has no column 'epoch'")
        if len(set(header)) < len(header):
            raise ValueError("it has two columns of one name")
        rows = [_parse_row(header, cells, number) for number, cells in enumerate(table, 1)]
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(
            f"'{file}' is damaged: {error}. Expected a header and a row of numbers per epoch, as "
            "visionkit wrote it. Put it back as it was, or begin a new run: "
            f"python -m visionkit train run={file.parent}"
        ) from None
    return rows


def read_rows(file: Path) -> list[list[str]]:
    """The header and the rows of a table that the run wrote.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is empty, or cut off within a row.
        csv.Error: If it is no CSV.
        UserError: If it is too large.
    """
    text = read_text(file)
    if not text.endswith("\n"):
        raise ValueError("its last row is cut off" if text else "it is empty")
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def read_metrics(file: Path, *, advice: str) -> dict[str, float]:
    """The numbers of ``metrics.json``; NaN where the file has null.

    Args:
        file: The file.
        advice: What an error message ends with: what to type instead.

    Raises:
        UserError: If the file cannot be read, or does not hold numbers by name.
    """
    values = read_json(file, advice=advice)
    if not isinstance(values, dict):
        raise UserError(f"'{file}' holds no mapping. Expected the numbers that the run wrote. {advice}")
    for name, value in values.items():
        if value is not None and type(value) not in (int, float):
            raise UserError(f"'{file}': '{name:.60}' is no number. Expected the numbers that the run wrote. {advice}")
    return {name: math.nan if value is None else value for name, value in values.items()}


def _parse_row(header: list[str], cells: list[str], number: int) -> dict[str, float]:
    """One row as numbers.

    Raises:
        ValueError: If a cell is no number, or the row is not that of its epoch.
    """
    if len(cells) != len(header):
        raise ValueError(f"row {number} has {len(cells)} cells, and there are {len(header)} columns")
    row = {name: float(cell) for name, cell in zip(header, cells, strict=True) if cell}
    if row.get("epoch") != number:
        raise ValueError(f"row {number} is not that of epoch {number}")
    return row

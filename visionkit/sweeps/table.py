"""The table ``sweep.csv``: a row per run, written whole, and read when the sweep goes on."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visionkit.errors import UserError
from visionkit.files import read_text, write_atomic
from visionkit.sweeps.job import STATUSES, RunRow
from visionkit.text import quote_cell, unquote_cell

__all__ = ["StoredRow", "read_table", "write_table"]

_FIRST_COLUMNS, _LAST_COLUMNS = ("number", "status"), ("parameters", "seconds", "reason")


@dataclass(frozen=True)
class StoredRow:
    """The columns that cannot be read from the folder of the run."""

    status: str
    seconds: float
    reason: str


def write_table(file: Path, rows: Sequence[RunRow]) -> None:
    """Write the rows of all runs atomically."""
    swept = list(dict.fromkeys(key for row in rows for key in row.overrides))
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(quote_cell, [*_FIRST_COLUMNS, *swept, *metrics, *_LAST_COLUMNS]))
    for row in rows:
        values = [*(row.overrides.get(key) for key in swept), *(_cell(row.metrics.get(name)) for name in metrics)]
        cells = [row.number, row.status, *values, row.parameters, row.seconds, row.reason]
        writer.writerow(map(quote_cell, cells))
    write_atomic(file, text.getvalue())


def read_table(file: Path) -> dict[int, StoredRow]:
    """The rows by the numbers of their runs; none if there is no file.

    Raises:
        UserError: If it is not the table that a sweep wrote.
    """
    if not file.exists():
        return {}
    rows, line = dict[int, StoredRow](), 1
    try:
        text = io.StringIO(read_text(file), newline="")
        table = csv.DictReader(text, restkey="more cells than columns", strict=True)
        if "number" not in (table.fieldnames or ()):
            raise KeyError("number")
        for cells in table:
            line = table.line_num
            rows[int(cells["number"])] = _stored_row(cells)
    except (OSError, csv.Error, KeyError, TypeError, ValueError) as error:
        problem = f"there is no column {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(
            f"resume: '{file}' cannot be read: {problem} (line {line}). Expected the table that the "
            "sweep wrote. Mend it, or delete it: what is done is known from the runs' own folders."
        ) from None
    return rows


def _stored_row(cells: Mapping[str, Any]) -> StoredRow:
    """Parse a line of the table.

    Raises:
        KeyError: If a column is missing.
        ValueError: If a cell has an invalid value.
    """
    if None in cells.values() or "more cells than columns" in cells:
        raise ValueError("its cells are not as many as the columns")
    stored = StoredRow(cells["status"], float(cells["seconds"]), unquote_cell(cells["reason"]))
    if stored.status not in STATUSES:
        raise ValueError(f"status '{stored.status}' is none of {', '.join(STATUSES)}")
    if not 0 <= stored.seconds < math.inf:
        raise ValueError(f"seconds '{cells['seconds']}' is no time")
    return stored


def _cell(value: float | None) -> Any:
    return f"{value:.8g}" if isinstance(value, float) else value

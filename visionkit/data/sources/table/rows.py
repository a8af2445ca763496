"""The columns of a table, from CSV or Parquet, as the text of their cells."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visionkit.data.image_files import is_image_name
from visionkit.data.sources.table.csv_rows import read_csv_header, read_csv_rows
from visionkit.errors import UserError, did_you_mean, nearest_word
from visionkit.files import check_file_size
from visionkit.text import normal_form

__all__ = ["TABLE_SUFFIXES", "Cell", "Column", "Rows", "find_column", "read_head", "read_header", "read_rows"]

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")

Cell = str | list[str]
"""The text of a cell; in Parquet a cell may be a list."""

Column = Sequence[Cell]

_MAX_BYTES = 1 << 30
_MAX_ROWS = 10_000_000
_CONTROL = re.compile("[\0-\x08\n-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class Rows:
    """Some columns of a table.

    Attributes:
        columns: The cells of each column by its name, without spaces around them.
        lines: The line of each row in a CSV file, the number of the row from 1 in a Parquet file.
        malformed: The lines that are left out: of another number of cells than the header, with a quote that is not
            closed, or with a control character in a cell.
        inner: The lines inside of quotes that were read as text of the row before them.
    """

    columns: dict[str, Column]
    lines: Sequence[int]
    malformed: list[int] = field(default_factory=list)
    inner: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.lines)


def read_header(path: Path) -> list[str]:
    """The names of a table's columns.

    Raises:
        UserError: If the file is no table, or is too large.
    """
    check_file_size(path, max_bytes=_MAX_BYTES)
    if path.suffix.lower() == ".parquet":
        names = [str(name) for name in _parquet(path).schema_arrow.names]
    else:
        names = [name.strip() for name in read_csv_header(path, max_bytes=_MAX_BYTES)]
    return [normal_form(name) for name in names]


def find_column(header: Sequence[str], name: str, *, key: str, path: Path) -> str:
    """The name of a column, checked to be in the header once.

    Args:
        header: The result of `read_header`.
        name: The name.
        key: The key of the configuration that has it, for messages.
        path: The file, for messages.

    Raises:
        UserError: If there is no such column, or there are two.
    """
    if header.count(normal_form(name)) == 1:
        return normal_form(name)
    shown = ", ".join(f"'{column}'" for column in header[:20]) + (" ..." if len(header) > 20 else "")
    if name in header:
        raise UserError(f"{key}: '{path}' has {header.count(name)} columns called '{name}'. Rename all but one.")
    if any(map(is_image_name, header)):
        raise UserError(
            f"{key}: the first line of '{path}' names an image, {shown}. Expected the names of the columns there, such "
            "as image,label. Add such a line."
        )
    if len(header) == 1:
        raise UserError(
            f"{key}: '{path}' has no column '{name}': its first line is {shown} alone. Expected names of columns, "
            "divided by a comma, a semicolon, a tab or a bar, such as image,label. Save it so."
        )
    example = nearest_word(name, header) or header[0 if "image" in key else -1]
    raise UserError(
        f"{key}: '{path}' has no column '{name}'.{did_you_mean(name, header)} Its first line should name the columns; "
        f"it has {shown}. Name the column that is meant: {key}={example}"
    )


def read_rows(path: Path, names: Sequence[str]) -> Rows:
    """Read some columns of a table.

    Args:
        path: The file; one with the suffix ``.parquet`` is read by pyarrow, any other as CSV in UTF-8, whose delimiter
            is a comma, a semicolon, a tab or a bar.
        names: The names of the columns, in `read_header`.

    Raises:
        UserError: If the file cannot be read, or has too many rows.
    """
    if path.suffix.lower() == ".parquet":
        return _without_control_characters(_read_parquet_rows(path, names))
    header = read_header(path)
    positions = list(map(header.index, names))
    rows = read_csv_rows(path, positions, max_bytes=_MAX_BYTES, max_rows=_MAX_ROWS + 1)
    if len(rows.cells) > _MAX_ROWS:
        raise _too_many_rows(path)
    cells = zip(*rows.cells, strict=True) if rows.cells else ((),) * len(names)
    columns: dict[str, Column] = {
        name: [cell.strip() for cell in column] for name, column in zip(names, cells, strict=True)
    }
    return _without_control_characters(Rows(columns, rows.lines, rows.malformed, rows.inner))


def read_head(path: Path, names: Sequence[str], *, limit: int) -> dict[str, Column]:
    """The cells of some columns in the first rows of a table; those of Parquet that hold no text are left out.

    Args:
        path: As for `read_rows`.
        names: As for `read_rows`.
        limit: The number of rows.

    Raises:
        UserError: If the file cannot be read.
    """
    if not names:
        return {}
    if path.suffix.lower() != ".parquet":
        header = read_header(path)
        rows = read_csv_rows(path, list(map(header.index, names)), max_bytes=_MAX_BYTES, max_rows=limit)
        return {name: [row[i].strip() for row in rows.cells] for i, name in enumerate(names)}
    batch = next(_parquet(path).iter_batches(batch_size=limit), None)
    columns: dict[str, Column] = {}
    for name, values in zip(batch.schema.names, batch.columns, strict=True) if batch is not None else ():
        try:
            columns[normal_form(str(name))] = [_cell(value) for value in values.to_pylist()]
        except TypeError:
            continue
    return {name: columns[name] for name in names if name in columns}


def _without_control_characters(rows: Rows) -> Rows:
    """The rows without those of a line break or another control character in a cell, which are malformed."""
    bad: set[int] = set()
    for column in rows.columns.values():
        bad.update(row for row, cell in enumerate(column) if _holds_control(cell))
    if not bad:
        return rows
    keep = [row for row in range(len(rows)) if row not in bad]
    columns: dict[str, Column] = {name: [column[row] for row in keep] for name, column in rows.columns.items()}
    malformed = sorted([*rows.malformed, *(rows.lines[row] for row in bad)])
    return Rows(columns, [rows.lines[row] for row in keep], malformed, rows.inner)


def _holds_control(cell: Cell) -> bool:
    if isinstance(cell, list):
        return any(map(_holds_control, cell))
    return not cell.isprintable() and _CONTROL.search(cell) is not None


def _parquet(path: Path) -> Any:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise UserError(
            f"dataset.file: '{path}' is Parquet, which pyarrow reads, and it is not installed. "
            "Try: pip install pyarrow, or write the table as CSV"
        ) from None
    try:
        return parquet.ParquetFile(path)
    except (ArrowException, OSError, ValueError) as error:
        raise UserError(f"dataset.file: '{path}' cannot be read: {error}. Expected a Parquet file.") from None


def _read_parquet_rows(path: Path, names: Sequence[str]) -> Rows:
    file = _parquet(path)
    count = file.metadata.num_rows
    if count > _MAX_ROWS:
        raise _too_many_rows(path)
    try:
        stored = {normal_form(str(name)): name for name in file.schema_arrow.names}
        table = file.read(columns=[stored[name] for name in names])
        columns: dict[str, Column] = {
            name: [_cell(value) for value in table.column(stored[name]).to_pylist()] for name in names
        }
    except (KeyError, NotImplementedError, OSError, TypeError, ValueError) as error:
        raise UserError(f"dataset.file: '{path}' cannot be read: {error}. Expected a Parquet file.") from None
    return Rows(columns, range(1, count + 1))


def _cell(value: Any) -> Cell:
    """A value of a Parquet file as CSV would have it; a number without a fraction has no point."""
    if isinstance(value, list):
        return [str(_cell(item)) for item in value]
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int):
        raise TypeError(f"found {type(value).__name__} where a path, a label or a list of labels is expected")
    return str(value).strip()


def _too_many_rows(path: Path) -> UserError:
    return UserError(f"dataset.file: '{path}' has more than {_MAX_ROWS:,} rows. Divide it.")

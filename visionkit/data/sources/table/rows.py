"""The columns of a table, from CSV or Parquet, as the text of their cells."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

from visionkit.errors import UserError, did_you_mean
from visionkit.files import check_file_size, open_text

__all__ = ["TABLE_SUFFIXES", "Cell", "Column", "Rows", "find_column", "read_header", "read_rows"]

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")

Cell = str | list[str]
"""The text of a cell; in Parquet a cell may be a list."""

Column = Sequence[Cell]

_DELIMITERS = (",", ";", "\t")
_MAX_BYTES = 1 << 30
_MAX_ROWS = 10_000_000


@dataclass(frozen=True)
class Rows:
    """Some columns of a table.

    Attributes:
        columns: The cells of each column by its name, without spaces around them.
        lines: The line of each row in a CSV file, the number of the row from 1 in a Parquet file.
        malformed: The lines that have another number of cells than the header, and are left out.
    """

    columns: dict[str, Column]
    lines: Sequence[int]
    malformed: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.lines)


def read_header(path: Path) -> list[str]:
    """The names of a table's columns.

    Raises:
        UserError: If the file is no table, or is too large.
    """
    check_file_size(path, max_bytes=_MAX_BYTES)
    if path.suffix.lower() == ".parquet":
        return [str(name) for name in _parquet(path).schema_arrow.names]
    return [name.strip() for name in _read_csv_header(path)[1]]


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
    if header.count(name) == 1:
        return name
    shown = ", ".join(f"'{column}'" for column in header[:20]) + (" ..." if len(header) > 20 else "")
    if name in header:
        raise UserError(f"{key}: '{path}' has {header.count(name)} columns called '{name}'. Rename all but one.")
    example = next((column for column in header if column.lower() == name.lower()), header[0])
    raise UserError(
        f"{key}: '{path}' has no column '{name}'.{did_you_mean(name, header)} Its first line should name the columns; "
        f"it has {shown}. Name the column that is meant: {key}={example}"
    )


def read_rows(path: Path, names: Sequence[str]) -> Rows:
    """Read some columns of a table.

    Args:
        path: The file; one with the suffix ``.parquet`` is read by pyarrow, any other as CSV in UTF-8, whose delimiter
            is a comma, a semicolon or a tab.
        names: The names of the columns, in `read_header`.

    Raises:
        UserError: If the file cannot be read, or has too many rows.
    """
    if path.suffix.lower() == ".parquet":
        return _read_parquet_rows(path, names)
    return _read_csv_rows(path, names)


def _read_csv_header(path: Path) -> tuple[str, list[str]]:
    """The delimiter that makes most columns of the first line, and these."""
    headers: dict[str, list[str]] = {}
    for delimiter in _DELIMITERS:
        with _csv_errors(path), open_text(path, max_bytes=_MAX_BYTES) as file:
            headers[delimiter] = next((row for row in csv.reader(file, delimiter=delimiter) if any(row)), [])
    delimiter = max(_DELIMITERS, key=lambda delimiter: len(headers[delimiter]))
    if not headers[delimiter]:
        raise UserError(f"dataset.file: '{path}' is empty. Expected a line with the names of columns, then the rows.")
    return delimiter, headers[delimiter]


def _read_csv_rows(path: Path, names: Sequence[str]) -> Rows:
    delimiter, header = _read_csv_header(path)
    positions = [[name.strip() for name in header].index(name) for name in names]
    take = itemgetter(*positions) if len(positions) > 1 else lambda row: (row[positions[0]],)
    width, least = len(header), max(positions) + 1
    cells: list[Sequence[str]] = []
    lines, malformed = array("q"), list[int]()
    with _csv_errors(path), open_text(path, max_bytes=_MAX_BYTES) as file:
        reader = csv.reader(file, delimiter=delimiter)
        next(row for row in reader if any(row))
        for row in reader:
            if len(row) != width:
                if not row:
                    continue
                if len(row) < least or any(row[width:]):
                    malformed.append(reader.line_num)
                    continue
            cells.append(take(row))
            lines.append(reader.line_num)
            if len(cells) > _MAX_ROWS:
                raise _too_many_rows(path)
    columns = zip(*cells, strict=True) if cells else ((),) * len(names)
    return Rows(
        {name: [c.strip() for c in column] for name, column in zip(names, columns, strict=True)}, lines, malformed
    )


@contextmanager
def _csv_errors(path: Path) -> Iterator[None]:
    """Turns what goes wrong in reading a CSV file into a `UserError`."""
    try:
        yield
    except UnicodeError as error:
        raise UserError(f"dataset.file: '{path}' is no text in UTF-8: {error}. Save it as CSV in UTF-8.") from None
    except (csv.Error, OSError) as error:
        raise UserError(f"dataset.file: '{path}' cannot be read: {error}. Expected CSV or Parquet.") from None


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
        table = file.read(columns=list(names))
        columns: dict[str, Column] = {
            name: [_cell(value) for value in table.column(name).to_pylist()] for name in names
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

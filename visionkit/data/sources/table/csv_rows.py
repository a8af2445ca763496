"""The rows of a CSV file: its delimiter, its header, and what a stray quote does not swallow."""

from __future__ import annotations

import csv
import re
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from operator import itemgetter
from pathlib import Path
from typing import TextIO

from visionkit.errors import UserError
from visionkit.files import open_text

__all__ = ["CsvRows", "read_csv_header", "read_csv_rows"]

_DELIMITERS = (",", ";", "\t", "|")
_DECLARED = re.compile(r"sep=(.)\s*", re.IGNORECASE)


@dataclass
class CsvRows:
    """Some columns of a CSV file.

    Attributes:
        cells: The cells of each row, in the order of the wanted columns.
        lines: The line of each row.
        malformed: The lines that are no rows: of another number of cells than the header, or with an open quote.
        inner: The lines inside of quotes that were read as text of the row before them.
    """

    cells: list[Sequence[str]] = field(default_factory=list)
    lines: array[int] = field(default_factory=lambda: array("q"))
    malformed: list[int] = field(default_factory=list)
    inner: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Dialect:
    """The delimiter, the cells of the header, and the number of lines before it."""

    delimiter: str
    header: list[str]
    num_skipped: int


class _Lines:
    """The lines of a file, of which those of the last row can be put back."""

    def __init__(self, file: TextIO, num_skipped: int) -> None:
        self._file = file
        self._pending: deque[str] = deque()
        self.of_row: list[str] = []
        self.number = 0
        self.is_ended = False
        for _ in range(num_skipped):
            next(self)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            line = self._pending.popleft() if self._pending else next(self._file)
        except StopIteration:
            self.is_ended = True
            raise
        self.of_row.append(line)
        self.number += 1
        return line

    def put_back(self) -> None:
        """Put back all lines of the row but the first."""
        self._pending.extendleft(reversed(self.of_row[1:]))
        self.number -= len(self.of_row) - 1
        self.is_ended = False


def read_csv_header(path: Path, *, max_bytes: int) -> list[str]:
    """The cells of the line with the names of columns.

    Raises:
        UserError: If the file is no CSV, is empty or is too large.
    """
    return _find_dialect(path, max_bytes).header


def read_csv_rows(path: Path, positions: Sequence[int], *, max_bytes: int, max_rows: int) -> CsvRows:
    """Read the columns at these positions; a row with a quote that is not closed in it loses its first line alone.

    Args:
        path: The file, in UTF-8 or with a byte order mark.
        positions: The positions of the columns in the header.
        max_bytes: The size up to which it is read.
        max_rows: The number of rows after which reading ends.

    Raises:
        UserError: If the file cannot be read.
    """
    dialect, rows = _find_dialect(path, max_bytes), CsvRows()
    take = itemgetter(*positions) if len(positions) > 1 else lambda row: (row[positions[0]],)
    width, least = len(dialect.header), max(positions) + 1
    with _csv_errors(path), open_text(path, max_bytes=max_bytes) as file:
        lines = _Lines(file, dialect.num_skipped)
        reader = csv.reader(lines, delimiter=dialect.delimiter)
        next(row for row in reader if any(row))
        while len(rows.cells) < max_rows:
            lines.of_row.clear()
            try:
                row = next(reader)
            except StopIteration:
                break
            except csv.Error:  # an open quote before more text than a cell may have
                if len(lines.of_row) < 2:
                    raise
                row, reader = [], csv.reader(lines, delimiter=dialect.delimiter)
                is_good = False
            else:
                is_good = not lines.is_ended and (
                    len(row) == width or not row or (len(row) >= least and not any(row[width:]))
                )
            num_lines = len(lines.of_row)
            first = lines.number - num_lines + 1
            if is_good and num_lines > 1:
                is_good = not any(_holds_break(cell) for cell in take(row))
                rows.inner.extend(range(first + 1, lines.number + 1) if is_good else ())
            if not is_good:
                rows.malformed.append(first)
                lines.put_back()
            elif row:
                rows.cells.append(take(row))
                rows.lines.append(first)
    return rows


def _find_dialect(path: Path, max_bytes: int) -> _Dialect:
    """The delimiter that makes most columns of the header, or that of a line ``sep=;``; comments before are skipped."""
    with _csv_errors(path), open_text(path, max_bytes=max_bytes) as file:
        lines = [line for line, _ in zip(file, range(50), strict=False)]
    declared, num_skipped = None, 0
    if lines and (match := _DECLARED.fullmatch(lines[0].strip("\r\n\"'"))):
        declared, num_skipped = match[1], 1
    comments = list(takewhile(lambda line: line.startswith("#"), lines[num_skipped:]))
    following = "".join(lines[num_skipped + len(comments) :][:1])
    if all(_num_delimiters(line) < _num_delimiters(following) for line in comments):
        num_skipped += len(comments)
    headers: dict[str, list[str]] = {}
    for delimiter in _DELIMITERS if declared is None else (declared,):
        with _csv_errors(path), open_text(path, max_bytes=max_bytes) as file:
            reader = csv.reader(_Lines(file, num_skipped), delimiter=delimiter)
            headers[delimiter] = next((row for row in reader if any(row)), [])
    delimiter = max(headers, key=lambda delimiter: len(headers[delimiter]))
    if not headers[delimiter]:
        raise UserError(f"dataset.file: '{path}' is empty. Expected a line with the names of columns, then the rows.")
    if any("\0" in cell for cell in headers[delimiter]):
        raise UserError(
            f"dataset.file: '{path}' has null characters in its first line, as text in UTF-16 without a byte order "
            "mark. Save it as CSV in UTF-8."
        )
    return _Dialect(delimiter, headers[delimiter], num_skipped)


def _num_delimiters(line: str) -> int:
    return max(map(line.count, _DELIMITERS))


def _holds_break(cell: str) -> bool:
    text = cell.strip()
    return "\n" in text or "\r" in text


@contextmanager
def _csv_errors(path: Path) -> Iterator[None]:
    """Turns what goes wrong in reading a CSV file into a `UserError`."""
    try:
        yield
    except UnicodeError as error:
        raise UserError(f"dataset.file: '{path}' is no text in UTF-8: {error}. Save it as CSV in UTF-8.") from None
    except (csv.Error, OSError) as error:
        raise UserError(f"dataset.file: '{path}' cannot be read: {error}. Expected CSV or Parquet.") from None

"""The labels in the cells of a table."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from visionkit.data.sources.table.rows import Cell, Column, Rows
from visionkit.errors import UserError

__all__ = ["LabelReader", "natural_order", "read_flags"]

_SEPARATORS = ";|"
_YES = frozenset({"1", "1.0", "true", "yes"})
_NO = frozenset({"0", "0.0", "false", "no", ""})


class LabelReader:
    """Reads the labels of cells: ``cat``, ``cat;dog``, ``cat|dog``, ``["cat", "dog"]``, ``['cat', 'dog']`` or nothing.

    Labels are kept as they are written, without spaces around them: ``01`` stays ``01``.

    Args:
        separator: What stands between the labels of a cell; None for a semicolon or a bar.

    Attributes:
        found_list: Whether a cell was written as a list, or was empty.
    """

    def __init__(self, separator: str | None) -> None:
        self.separator = separator
        self.found_list = False
        self._known: dict[str, tuple[str, ...]] = {}

    def read(self, column: Column) -> list[tuple[str, ...]]:
        """The distinct labels of each cell, in their order."""
        return [self._labels(cell) for cell in column]

    def _labels(self, cell: Cell) -> tuple[str, ...]:
        if isinstance(cell, list):
            self.found_list = True
            return _distinct(cell)
        labels = self._known.get(cell)
        if labels is None:
            parts = self._parts(cell)
            self.found_list |= parts != [cell]
            labels = self._known[cell] = _distinct(parts)
        return labels

    def _parts(self, text: str) -> list[str]:
        if text.startswith("[") and text.endswith("]"):
            return _list_items(text)
        if self.separator is None:
            return re.split(f"[{_SEPARATORS}]", text)
        return text.split(self.separator)


def read_flags(rows: Rows, classes: Sequence[str], *, path: Path) -> list[tuple[str, ...]]:
    """The labels of each row of a table with a column for each class, of 0 and 1.

    Args:
        rows: The columns.
        classes: The names of those columns.
        path: The file, for messages.

    Raises:
        UserError: If a cell is neither 0 nor 1, no word for them, and not empty.
    """
    label_sets: list[list[str]] = [[] for _ in range(len(rows))]
    for name in classes:
        for position, cell in enumerate(rows.columns[name]):
            if cell == "1":
                label_sets[position].append(name)
            elif cell != "0":
                word = str(cell).lower()
                if word in _YES:
                    label_sets[position].append(name)
                elif word not in _NO:
                    raise UserError(
                        f"dataset.label_columns: '{path}', line {rows.lines[position]}: the column '{name}' has "
                        f"'{str(cell)[:40]}'. Expected 1 for images that have the class, else 0."
                    )
    return [tuple(labels) for labels in label_sets]


def natural_order(names: Iterable[str]) -> list[str]:
    """The distinct names sorted as people do, by numbers in them too: 2 before 10."""

    def key(name: str) -> tuple[object, ...]:
        parts = re.split(r"(\d+)", name, flags=re.ASCII)
        numbers = [part.lstrip("0") for part in parts[1::2]]
        return *chain.from_iterable(zip(parts[::2], ((len(n), n) for n in [*numbers, ""]), strict=True)), name

    return sorted(set(names), key=key)


def _distinct(labels: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label for label in map(str.strip, labels) if label))


def _list_items(text: str) -> list[str]:
    """The items of a list as JSON or Python write it; of anything else, the text itself."""
    try:
        items = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        items = next(csv.reader([text[1:-1]], quotechar="'", skipinitialspace=True), [])
    return items if all(isinstance(item, str) for item in items) else [text]

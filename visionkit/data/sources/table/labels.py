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
from visionkit.text import normal_form

__all__ = ["LabelReader", "joined_labels", "natural_order", "read_flags"]

_SEPARATORS = ";|"
_MISSING = frozenset(
    {"NaN", "nan", "-NaN", "-nan", "NULL", "null", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>"}
)
"""What pandas and spreadsheets write for a cell without a value."""
_YES = frozenset({"1", "1.0", "true", "yes"})
_NO = frozenset({"0", "0.0", "false", "no", ""})


class LabelReader:
    """Reads the labels of cells: ``cat``, ``cat;dog``, ``cat|dog``, ``["cat", "dog"]``, ``['cat', 'dog']`` or nothing.

    Labels are kept as they are written, without spaces around them and in Unicode's composed form: ``01`` stays ``01``.
    ``NaN``, ``NULL`` and the other words by which programs write an empty cell are no labels.

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
            labels = self._known[cell] = _distinct(parts)
            self.found_list |= parts != [cell] or not labels
        return labels

    def _parts(self, text: str) -> list[str]:
        if text.startswith(("[", "{")) and text.endswith({"[": "]", "{": "}"}[text[0]]):
            return _list_items(f"[{text[1:-1]}]", otherwise=text)
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


def joined_labels(labels: Iterable[str]) -> tuple[str, list[str]]:
    """What seems to stand between several labels of one cell, such as the comma of ``cat,dog``, and those labels.

    It is a character whose parts are all labels of other cells. Nothing and no labels if there is none.
    """
    names = list(dict.fromkeys(labels))
    known = set(names)
    for separator in (",", " ", "/", "+", "&", "_"):
        joined = [name for name in names if separator in name and known.issuperset(_stripped(name.split(separator)))]
        if joined:
            return separator, joined
    return "", []


def _stripped(parts: Iterable[str]) -> list[str]:
    return [part.strip() for part in parts]


def natural_order(names: Iterable[str]) -> list[str]:
    """The distinct names sorted as people do, by numbers in them too: 2 before 10."""

    def key(name: str) -> tuple[object, ...]:
        parts = re.split(r"(\d+)", name, flags=re.ASCII)
        numbers = [part.lstrip("0") for part in parts[1::2]]
        return *chain.from_iterable(zip(parts[::2], ((len(n), n) for n in [*numbers, ""]), strict=True)), name

    return sorted(set(names), key=key)


def _distinct(labels: Iterable[str]) -> tuple[str, ...]:
    names = (normal_form(label.strip()) for label in labels)
    return tuple(dict.fromkeys(label for label in names if label and label not in _MISSING))


def _list_items(text: str, *, otherwise: str) -> list[str]:
    """The items of a list as JSON or Python write it; of anything else, another text."""
    try:
        items = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        try:
            items = next(csv.reader([text[1:-1]], quotechar="'", skipinitialspace=True), [])
        except csv.Error:
            return [otherwise]
    return items if all(isinstance(item, str) for item in items) else [otherwise]

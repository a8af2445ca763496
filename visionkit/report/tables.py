"""Tables of text: for a terminal of any width, as Markdown, and as CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from visionkit.console import stdout_console
from visionkit.text import printable, quote_cell

__all__ = ["Grid", "print_grid"]


@dataclass(frozen=True)
class Grid:
    """A table of strings; its first column names the rows.

    Attributes:
        title: The line above the table.
        headings: One per column.
        rows: Cells, one per column; a newline in a cell is kept on the terminal.
        right_aligned: Whether each column is aligned to the right.
        footer: A last row of sums, or None.
        notes: Lines below the table.
        elsewhere: Where all columns stand side by side, for a terminal that is too narrow.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    right_aligned: Sequence[bool]
    footer: Sequence[str] | None = None
    notes: Sequence[str] = ()
    elsewhere: str = "format=markdown, csv or json"

    @classmethod
    def of_mappings(cls, rows: Sequence[Mapping[str, Any]]) -> Grid:
        """A grid of plain values under the keys of the mappings, for CSV."""
        headings = list(rows[0])
        return cls("", headings, [[_csv_value(row[key]) for key in headings] for row in rows], [False] * len(headings))


def print_grid(grid: Grid, format: str, *, console: Console | None = None) -> None:
    """Print a table on standard output: ``text``, ``markdown`` or ``csv``.

    Args:
        grid: The table.
        format: Text is as few tables below each other as fit the width, each with the first column; no cell is cut.
        console: Where to print text instead.
    """
    if format == "csv":
        csv.writer(sys.stdout, lineterminator="\n").writerows(
            map(quote_cell, row) for row in [grid.headings, *grid.rows]
        )
    elif format == "markdown":
        _print_markdown(grid)
    else:
        _print_text(grid, console or stdout_console())


def _csv_value(value: Any) -> str:
    if isinstance(value, list):
        return "x".join("" if item is None else str(item) for item in value)
    return "" if value is None else str(value)


def _print_markdown(grid: Grid) -> None:
    print(f"{printable(grid.title)}\n")
    rules = ["---:" if right else "---" for right in grid.right_aligned]
    footer = [] if grid.footer is None else [[f"**{cell}**" if cell else "" for cell in grid.footer]]
    lines = [[_one_line(cell) for cell in cells] for cells in (grid.headings, *grid.rows)]
    for cells in (lines[0], rules, *lines[1:], *footer):
        print(f"| {' | '.join(cells)} |")
    for note in grid.notes:
        print(f"\n{note}")


def _one_line(cell: str) -> str:
    """Format a cell for Markdown: on one line, and as code if it contains ``*``."""
    text = cell.replace("\n", "; " if "=" in cell else " ")
    return f"`{text}`" if "*" in text else text


def _print_text(grid: Grid, console: Console) -> None:
    widths = _column_widths(grid)
    tables = _balance_tables(widths, console.width)
    if grid.title:
        console.print(Text(grid.title, style="bold"), soft_wrap=True)
    for columns in tables:
        console.print(_table(grid, columns, widths, width=console.width))
    for note in grid.notes:
        console.print(note, style="dim", soft_wrap=True)
    if len(tables) > 1:
        console.print(
            f"All columns side by side need a terminal {_table_width(widths)} wide, or {grid.elsewhere}.",
            style="dim",
            soft_wrap=True,
        )


def _table(grid: Grid, columns: Sequence[int], widths: Sequence[int], *, width: int) -> Table:
    fits = _table_width([widths[column] for column in columns]) <= width
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for column in columns:
        align: Literal["left", "right"] = "right" if grid.right_aligned[column] else "left"
        table.add_column(
            grid.headings[column],
            justify=align,
            width=widths[column] if fits else None,
            vertical="top",
            overflow="fold",
        )
    rows = [[row[column] for column in columns] for row in grid.rows]
    for cells in _merge_rows(rows) if fits else rows:
        table.add_row(*map(Text, cells))
    if grid.footer is not None and any(grid.footer[column] for column in columns[1:]):
        table.add_section()
        table.add_row(*(Text(grid.footer[column], style="bold") for column in columns))
    return table


def _merge_rows(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Merge all rows into one of multi-line cells, since Rich is slow per cell."""
    stacks: list[list[str]] = [[] for _ in rows[0]]
    for row in rows:
        height = 1 + max(cell.count("\n") for cell in row)
        for stack, cell in zip(stacks, row, strict=True):
            stack.append(cell + "\n" * (height - 1 - cell.count("\n")))
    return [["\n".join(stack) for stack in stacks]]


def _column_widths(grid: Grid) -> list[int]:
    """The minimal width of each column: headings may wrap between words, cells may not."""
    widths = []
    for column, heading in enumerate(grid.headings):
        cells = [row[column] for row in grid.rows] + ([grid.footer[column]] if grid.footer else [])
        lines = [line for cell in cells for line in cell.split("\n")]
        widths.append(max(cell_len(printable(part)) for part in (*heading.split(), *lines, "")))
    return widths


def _table_width(widths: Sequence[int]) -> int:
    """Width of a table with columns of these widths, with one character between them and at both edges."""
    return sum(widths) + len(widths) + 1


def _balance_tables(widths: Sequence[int], width: int) -> list[list[int]]:
    """Distribute columns over the minimal number of tables, of about equal width."""
    num_tables = len(_fill_tables(widths, width))
    narrowest_width = min(width, _table_width(widths))
    while narrowest_width > 1 and len(_fill_tables(widths, narrowest_width - 1)) == num_tables:
        narrowest_width -= 1
    return _fill_tables(widths, narrowest_width)


def _fill_tables(widths: Sequence[int], width: int) -> list[list[int]]:
    """Distribute columns in order over tables of at most ``width``, with the first column in every table."""
    tables = [[0]]
    for column in range(1, len(widths)):
        current = tables[-1]
        if len(current) > 1 and _table_width([widths[i] for i in (*current, column)]) > width:
            tables.append([0])
        tables[-1].append(column)
    return tables

"""Tables of an inspection: as text for a terminal of any width, as Markdown, and as CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich import box
from rich.table import Table
from rich.text import Text

from visionkit.console import stdout_console
from visionkit.inspection.layers import LayerRow
from visionkit.inspection.network import Network
from visionkit.inspection.totals import Totals
from visionkit.text import printable, quote_cell

__all__ = ["Grid", "format_bytes", "layer_grid", "print_grid", "format_shape", "total_lines"]


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
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    right_aligned: Sequence[bool]
    footer: Sequence[str] | None = None
    notes: Sequence[str] = ()

    @classmethod
    def of_mappings(cls, rows: Sequence[Mapping[str, Any]]) -> Grid:
        """A grid of plain values under the keys of the mappings, for CSV."""
        headings = list(rows[0])
        return cls("", headings, [[_csv_value(row[key]) for key in headings] for row in rows], [False] * len(headings))


def print_grid(grid: Grid, format: str) -> None:
    """Print a table on standard output: ``text``, ``markdown`` or ``csv``."""
    if format == "csv":
        csv.writer(sys.stdout, lineterminator="\n").writerows(
            map(quote_cell, row) for row in [grid.headings, *grid.rows]
        )
    elif format == "markdown":
        _print_markdown(grid)
    else:
        _print_text(grid)


def layer_grid(net: Network, layers: Sequence[LayerRow], totals: Totals) -> Grid:
    """The table of layers, with the totals as footer."""
    footer = dict.fromkeys(_LAYER_COLUMNS, "") | {
        "layer": "total",
        "neurons": f"{totals.neurons:,}",
        "connections": f"{totals.connections:,}",
        "parameters": f"{totals.parameters:,}",
        "MACs": f"{totals.macs:,}",
        "kept in training": ""
        if net.saved_memory is None
        else format_bytes(sum(net.saved_memory[name] for name in net.saved_memory if len(name) == 1)),
    }
    classes = "" if net.num_classes is None else f", {net.num_classes:,} classes"
    notes = ["In a size, / rounds down."] if any(row.size_formula for row in layers) else []
    return Grid(
        f"{net.name}, {format_shape(net.input)} image{classes}",
        list(_LAYER_COLUMNS),
        [[cell(row) for cell in _LAYER_COLUMNS.values()] for row in layers],
        [heading not in ("layer", "type", "size") for heading in _LAYER_COLUMNS],
        list(footer.values()),
        notes,
    )


def total_lines(totals: Totals) -> list[str]:
    """The totals as lines of text."""
    trainable = "all" if totals.trainable_parameters == totals.parameters else f"{totals.trainable_parameters:,}"
    images = "1 image" if totals.batch_size == 1 else f"{totals.batch_size:,} images"
    lines = [
        f"parameters: {totals.parameters:,} ({trainable} trainable), used in {totals.connections:,} connections "
        f"of {totals.neurons:,} neurons",
        f"MACs: {totals.macs:,} multiplications with a weight for one image",
    ]
    if totals.peak_inference_memory is not None and totals.peak_training_memory is not None:
        lines.append(
            f"peak activation memory of {images} in float32: {format_bytes(totals.peak_inference_memory)} in "
            f"inference, {format_bytes(totals.peak_training_memory)} in training"
        )
    lines.append(
        f"checkpoint: {format_bytes(totals.weights_size)} of weights, {format_bytes(totals.checkpoint_size)} with the "
        "optimizer's state"
    )
    return lines


def format_shape(sizes: Sequence[int]) -> str:
    """Format sizes such as ``3x224x224``."""
    return "x".join(str(size) for size in sizes)


def format_bytes(size: int) -> str:
    """Format a size in bytes with three or four digits, such as ``1.21 MiB``."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{size} B" if unit == "B" else f"{value:,.{max(0, 2 - len(str(int(value))) + 1)}f} {unit}"


def _format_pair(pair: Sequence[int] | None) -> str:
    """Format (height, width), as one number where they are equal."""
    if pair is None:
        return ""
    return str(pair[0]) if pair[0] == pair[1] else format_shape(pair)


def _format_per_axis(row: LayerRow, value: Any, unit: str = "") -> str:
    if row.opaque:
        return "?"
    if value is None:
        return "all" if unit else ""
    return " x ".join("all" if n is None else f"{n}{unit}" for n in (value if isinstance(value, list) else [value]))


def _runs_suffix(row: LayerRow) -> str:
    if row.runs == 1:
        return ""
    return f", {row.runs} times" if row.runs else ", in training"


def _format_count(count: int) -> str:
    return f"{count:,}" if count else ""


_LAYER_COLUMNS: Mapping[str, Callable[[LayerRow], str]] = {
    "layer": lambda row: row.name,
    "type": lambda row: f"{row.type}{_runs_suffix(row)}",
    "kernel": lambda row: format_shape(row.kernel_size or ()),
    "stride": lambda row: _format_pair(row.stride),
    "padding": lambda row: _format_pair(row.padding),
    "output\nHxWxC": lambda row: format_shape([*row.output[1:], row.output[0]]),
    "size": lambda row: row.size_formula.replace("; ", "\n"),
    "weights per neuron": lambda row: row.weights_formula,
    "neurons": lambda row: _format_count(row.neurons),
    "connections": lambda row: _format_count(row.connections),
    "parameters": lambda row: f"{row.parameters:,}",
    "MACs": lambda row: _format_count(row.macs),
    "activation memory": lambda row: format_bytes(row.activation_memory),
    "kept in training": lambda row: "?" if row.training_memory is None else format_bytes(row.training_memory),
    "receptive field": lambda row: _format_per_axis(row, row.receptive_field, " px"),
    "jump": lambda row: _format_per_axis(row, row.jump),
    "offset": lambda row: _format_per_axis(row, row.offset),
}


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


def _print_text(grid: Grid) -> None:
    """Print as few tables below each other as fit the width of the terminal, each with the first column."""
    console = stdout_console()
    widths = _column_widths(grid)
    tables = _balance_tables(widths, console.width)
    for columns in tables:
        console.print(_table(grid, columns, widths, width=console.width))
    for note in grid.notes:
        console.print(note, style="dim", soft_wrap=True)
    if len(tables) > 1:
        console.print(
            f"All columns side by side need a terminal {_table_width(widths)} wide, or format=markdown, csv or json.",
            style="dim",
            soft_wrap=True,
        )


def _table(grid: Grid, columns: Sequence[int], widths: Sequence[int], *, width: int) -> Table:
    fits = _table_width([widths[column] for column in columns]) <= width
    title = Text(grid.title, style="bold") if 1 in columns else None
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for column in columns:
        align: Literal["left", "right"] = "right" if grid.right_aligned[column] else "left"
        table.add_column(grid.headings[column], justify=align, width=widths[column], vertical="top")
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
        widths.append(max(len(part) for part in (*heading.split(), *lines)))
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

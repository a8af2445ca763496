"""How numbers become tables: on a terminal of any width, in Markdown, and as CSV."""

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

__all__ = ["Grid", "in_bytes", "layer_grid", "print_grid", "times", "total_lines"]


@dataclass(frozen=True)
class Grid:
    """A table of words; its first column names the rows.

    Attributes:
        title: What stands above it.
        headings: One per column.
        rows: Cells, one per column; a new line in a cell is one on the terminal.
        right: Whether each column is aligned there.
        footer: The last row, set apart, or None.
        notes: What a reader must know.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[bool]
    footer: Sequence[str] | None = None
    notes: Sequence[str] = ()

    @classmethod
    def of_mappings(cls, rows: Sequence[Mapping[str, Any]]) -> Grid:
        """The values as they are, for another program to read."""
        headings = list(rows[0])
        return cls("", headings, [[_plain(row[key]) for key in headings] for row in rows], [False] * len(headings))


def print_grid(grid: Grid, format: str) -> None:
    """Print a table on standard output: ``text``, ``markdown`` or ``csv``."""
    if format == "csv":
        csv.writer(sys.stdout, lineterminator="\n").writerows([grid.headings, *grid.rows])
    elif format == "markdown":
        _print_markdown(grid)
    else:
        _print_text(grid)


def layer_grid(net: Network, layers: Sequence[LayerRow], totals: Totals) -> Grid:
    """A row per layer, the sums below."""
    footer = dict.fromkeys(_LAYER_COLUMNS, "") | {
        "layer": "total",
        "neurons": f"{totals.neurons:,}",
        "connections": f"{totals.connections:,}",
        "parameters": f"{totals.parameters:,}",
        "MACs": f"{totals.macs:,}",
        "kept in training": ""
        if net.kept is None
        else in_bytes(sum(net.kept[name] for name in net.kept if len(name) == 1)),
    }
    classes = "" if net.num_classes is None else f", {net.num_classes:,} classes"
    notes = ["In a size, / rounds down."] if any(row.size_formula for row in layers) else []
    return Grid(
        f"{net.name}, {times(net.input)} image{classes}",
        list(_LAYER_COLUMNS),
        [[cell(row) for cell in _LAYER_COLUMNS.values()] for row in layers],
        [heading not in ("layer", "type", "size") for heading in _LAYER_COLUMNS],
        list(footer.values()),
        notes,
    )


def total_lines(totals: Totals) -> list[str]:
    """The totals in words."""
    trainable = "all" if totals.trainable_parameters == totals.parameters else f"{totals.trainable_parameters:,}"
    images = "1 image" if totals.batch_size == 1 else f"{totals.batch_size:,} images"
    lines = [
        f"parameters: {totals.parameters:,} ({trainable} trainable), used in {totals.connections:,} connections "
        f"of {totals.neurons:,} neurons",
        f"MACs: {totals.macs:,} multiplications with a weight for one image",
    ]
    if totals.peak_inference_memory is not None and totals.peak_training_memory is not None:
        lines.append(
            f"peak activation memory of {images} in float32: {in_bytes(totals.peak_inference_memory)} in inference, "
            f"{in_bytes(totals.peak_training_memory)} in training"
        )
    lines.append(
        f"checkpoint: {in_bytes(totals.weights_size)} of weights, {in_bytes(totals.checkpoint_size)} with the "
        "optimizer's state"
    )
    return lines


def times(numbers: Sequence[int]) -> str:
    """Such as ``3x224x224``."""
    return "x".join(str(n) for n in numbers)


def in_bytes(size: int) -> str:
    """A size to three or four digits, such as ``1.21 MiB``."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{size} B" if unit == "B" else f"{value:,.{max(0, 2 - len(str(int(value))) + 1)}f} {unit}"


def _once(numbers: Sequence[int] | None) -> str:
    """Both axes in one number where they agree."""
    if numbers is None:
        return ""
    return str(numbers[0]) if numbers[0] == numbers[1] else times(numbers)


def _grid_of_cells(row: LayerRow, value: Any, unit: str = "") -> str:
    if row.opaque:
        return "?"
    if value is None:
        return "all" if unit else ""
    return " x ".join("all" if n is None else f"{n}{unit}" for n in (value if isinstance(value, list) else [value]))


def _how_often(row: LayerRow) -> str:
    if row.runs == 1:
        return ""
    return f", {row.runs} times" if row.runs else ", in training"


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


_LAYER_COLUMNS: Mapping[str, Callable[[LayerRow], str]] = {
    "layer": lambda row: row.name,
    "type": lambda row: f"{row.type}{_how_often(row)}",
    "kernel": lambda row: times(row.kernel_size or ()),
    "stride": lambda row: _once(row.stride),
    "padding": lambda row: _once(row.padding),
    "output\nHxWxC": lambda row: times([*row.output[1:], row.output[0]]),
    "size": lambda row: row.size_formula.replace("; ", "\n"),
    "weights per neuron": lambda row: row.weights_formula,
    "neurons": lambda row: _count(row.neurons),
    "connections": lambda row: _count(row.connections),
    "parameters": lambda row: f"{row.parameters:,}",
    "MACs": lambda row: _count(row.macs),
    "activation memory": lambda row: in_bytes(row.activation_memory),
    "kept in training": lambda row: "?" if row.training_memory is None else in_bytes(row.training_memory),
    "receptive field": lambda row: _grid_of_cells(row, row.receptive_field, " px"),
    "jump": lambda row: _grid_of_cells(row, row.jump),
    "offset": lambda row: _grid_of_cells(row, row.offset),
}


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "x".join("" if item is None else str(item) for item in value)
    return "" if value is None else str(value)


def _print_markdown(grid: Grid) -> None:
    print(f"{grid.title}\n")
    rules = ["---:" if right else "---" for right in grid.right]
    footer = [] if grid.footer is None else [[f"**{cell}**" if cell else "" for cell in grid.footer]]
    lines = [[_one_line(cell) for cell in cells] for cells in (grid.headings, *grid.rows)]
    for cells in (lines[0], rules, *lines[1:], *footer):
        print(f"| {' | '.join(cells)} |")
    for note in grid.notes:
        print(f"\n{note}")


def _one_line(cell: str) -> str:
    """A cell of Markdown: formulas are code, since ``*`` would mean something there."""
    text = cell.replace("\n", "; " if "=" in cell else " ")
    return f"`{text}`" if "*" in text else text


def _print_text(grid: Grid) -> None:
    """As few tables below each other as the terminal is wide enough for, each with the first column."""
    console = stdout_console()
    widths = _widths(grid)
    tables = _pack(widths, console.width)
    for columns in tables:
        console.print(_table(grid, columns, widths, room=console.width))
    for note in grid.notes:
        console.print(note, style="dim", soft_wrap=True)
    if len(tables) > 1:
        console.print(
            f"All columns side by side need a terminal {_width(widths)} wide, or format=markdown, csv or json.",
            style="dim",
            soft_wrap=True,
        )


def _table(grid: Grid, columns: Sequence[int], widths: Sequence[int], *, room: int) -> Table:
    table_fits = _width([widths[column] for column in columns]) <= room
    title = Text(grid.title, style="bold") if 1 in columns else None
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for column in columns:
        align: Literal["left", "right"] = "right" if grid.right[column] else "left"
        table.add_column(grid.headings[column], justify=align, width=widths[column], vertical="top")
    rows = [[row[column] for column in columns] for row in grid.rows]
    for cells in _stacked(rows) if table_fits else rows:
        table.add_row(*map(Text, cells))
    if grid.footer is not None and any(grid.footer[column] for column in columns[1:]):
        table.add_section()
        table.add_row(*(Text(grid.footer[column], style="bold") for column in columns))
    return table


def _stacked(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """All rows as one, a line below the other: Rich takes its time over each cell."""
    stacks: list[list[str]] = [[] for _ in rows[0]]
    for row in rows:
        height = 1 + max(cell.count("\n") for cell in row)
        for stack, cell in zip(stacks, row, strict=True):
            stack.append(cell + "\n" * (height - 1 - cell.count("\n")))
    return [["\n".join(stack) for stack in stacks]]


def _widths(grid: Grid) -> list[int]:
    """The narrowest each column can be: headings may break between words, cells may not."""
    widths = []
    for column, heading in enumerate(grid.headings):
        cells = [row[column] for row in grid.rows] + ([grid.footer[column]] if grid.footer else [])
        lines = [line for cell in cells for line in cell.split("\n")]
        widths.append(max(len(part) for part in (*heading.split(), *lines)))
    return widths


def _width(widths: Sequence[int]) -> int:
    """Of a table of such columns, one sign between two and at both edges."""
    return sum(widths) + len(widths) + 1


def _pack(widths: Sequence[int], room: int) -> list[list[int]]:
    """Columns for each of as few tables as there is room for, of about the same width."""
    needed = len(_fill(widths, room))
    narrowest = min(room, _width(widths))
    while narrowest > 1 and len(_fill(widths, narrowest - 1)) == needed:
        narrowest -= 1
    return _fill(widths, narrowest)


def _fill(widths: Sequence[int], room: int) -> list[list[int]]:
    """Columns in their order, the first one in every table."""
    tables = [[0]]
    for column in range(1, len(widths)):
        last = tables[-1]
        if len(last) > 1 and _width([widths[i] for i in (*last, column)]) > room:
            tables.append([0])
        tables[-1].append(column)
    return tables

"""The table of a network's layers, and its totals as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from visionkit.inspection.layers import LayerRow
from visionkit.inspection.network import Network
from visionkit.inspection.totals import Totals
from visionkit.report.tables import Grid
from visionkit.text import count_of

__all__ = ["format_bytes", "layer_grid", "format_shape", "total_lines"]


def layer_grid(
    net: Network, layers: Sequence[LayerRow], totals: Totals, *, columns: Literal["main", "all"] = "all"
) -> Grid:
    """The table of layers, with the totals as footer.

    Args:
        net: The traced network.
        layers: The rows.
        totals: Its sums.
        columns: ``main`` is what fits a terminal of 80 characters.
    """
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
    classes = "" if net.num_classes is None else f", {count_of(net.num_classes, 'class')}"
    shown = list(_LAYER_COLUMNS)[: _NUM_MAIN_COLUMNS if columns == "main" else None]
    has_formulas = columns == "all" and any(row.size_formula for row in layers)
    return Grid(
        f"{net.name}, {format_shape(net.input)} image{classes}",
        shown,
        [[_LAYER_COLUMNS[heading](row) for heading in shown] for row in layers],
        [heading not in ("layer", "type", "size") for heading in shown],
        [footer[heading] for heading in shown],
        ["In a size, / rounds down."] if has_formulas else [],
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


_NUM_MAIN_COLUMNS = 8
_LAYER_COLUMNS: Mapping[str, Callable[[LayerRow], str]] = {
    "layer": lambda row: row.name,
    "type": lambda row: f"{row.type}{_runs_suffix(row)}",
    "output\nHxWxC": lambda row: format_shape([*row.output[1:], row.output[0]]),
    "parameters": lambda row: f"{row.parameters:,}",
    "MACs": lambda row: _format_count(row.macs),
    "kernel": lambda row: format_shape(row.kernel_size or ()),
    "stride": lambda row: _format_pair(row.stride),
    "receptive field": lambda row: _format_per_axis(row, row.receptive_field, " px"),
    "jump": lambda row: _format_per_axis(row, row.jump),
    "offset": lambda row: _format_per_axis(row, row.offset),
    "padding": lambda row: _format_pair(row.padding),
    "size": lambda row: row.size_formula.replace("; ", "\n"),
    "weights per neuron": lambda row: row.weights_formula,
    "neurons": lambda row: _format_count(row.neurons),
    "connections": lambda row: _format_count(row.connections),
    "activation memory": lambda row: format_bytes(row.activation_memory),
    "kept in training": lambda row: "?" if row.training_memory is None else format_bytes(row.training_memory),
}

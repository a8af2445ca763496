"""Shares of the stages in parameters, multiplications and memory."""

from __future__ import annotations

from typing import Any

from visionkit.inspection.network import Network
from visionkit.inspection.tables import format_bytes, format_shape
from visionkit.report.tables import Grid
from visionkit.text import count_of

__all__ = ["stage_bars", "stage_shares"]

_BAR_WIDTH = 12
_BAR_CHARACTERS = " ▏▎▍▌▋▊▉"


def stage_shares(net: Network) -> list[dict[str, Any]]:
    """For each stage, neck and head: parameters, MACs and memory, each with its share of the total, 0 to 1.

    Memory is what training saves for backward, in bytes per image; None if unknown.
    """
    names = list(dict.fromkeys(part.path[0] for part in net.parts))
    rows: list[dict[str, Any]] = []
    for name in names:
        parts = [part for part in net.parts if part.path[0] == name]
        rows.append({
            "name": name,
            "output": list(parts[-1].after.chw),
            "parameters": sum(part.parameters for part in parts),
            "macs": sum(part.macs for part in parts),
            "training_memory": None if net.saved_memory is None else net.saved_memory.get((name,), 0),
        })  # fmt: skip
    for key in ("parameters", "macs", "training_memory"):
        total = sum(stage[key] or 0 for stage in rows)
        for stage in rows:
            stage[f"{key}_share"] = None if stage[key] is None else stage[key] / total if total else 0.0
    return rows


def stage_bars(net: Network) -> Grid:
    """The table of shares, drawn as bars."""
    cells = []
    for stage in stage_shares(net):
        output = stage["output"]
        cells.append([
            stage["name"],
            format_shape([*output[1:], output[0]]),
            _bar(stage["parameters_share"]), f"{stage['parameters']:,}",
            _bar(stage["macs_share"]), f"{stage['macs']:,}",
            _bar(stage["training_memory_share"]),
            "?" if stage["training_memory"] is None else format_bytes(stage["training_memory"]),
        ])  # fmt: skip
    headings = ["stage", "output\nHxWxC", "share of parameters", "parameters", "share of MACs", "MACs",
                "share of memory kept in training", "kept in training"]  # fmt: skip
    classes = "" if net.num_classes is None else f", {count_of(net.num_classes, 'class')}"
    right = [False, True, False, True, False, True, False, True]
    return Grid(f"{net.name}, {format_shape(net.input)} image{classes}", headings, cells, right)


def _bar(share: float | None) -> str:
    """Draw a share, such as ``████▌        37.3 %``."""
    if share is None:
        return "?"
    eighths = round(share * _BAR_WIDTH * 8)
    bar = "█" * (eighths // 8) + _BAR_CHARACTERS[eighths % 8].strip()
    return f"{bar:<{_BAR_WIDTH}} {100 * share:5.1f} %"

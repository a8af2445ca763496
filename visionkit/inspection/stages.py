"""Which stage has how much of parameters, multiplications and memory."""

from __future__ import annotations

from typing import Any

from visionkit.inspection.network import Network
from visionkit.inspection.tables import Grid, in_bytes, times

__all__ = ["shares", "stage_bars"]

_BAR = 12
_EIGHTHS = " ▏▎▍▌▋▊▉"


def shares(net: Network) -> list[dict[str, Any]]:
    """For each stage, neck and head: its numbers, and what share of the whole they are, 0 to 1.

    Memory is what training keeps for backward of one image; None where it is not known.
    """
    names = list(dict.fromkeys(part.path[0] for part in net.parts))
    found: list[dict[str, Any]] = []
    for name in names:
        parts = [part for part in net.parts if part.path[0] == name]
        found.append({
            "name": name,
            "output": list(parts[-1].after.chw),
            "parameters": sum(part.parameters for part in parts),
            "macs": sum(part.macs for part in parts),
            "training_memory": None if net.kept is None else net.kept.get((name,), 0),
        })  # fmt: skip
    for key in ("parameters", "macs", "training_memory"):
        whole = sum(stage[key] or 0 for stage in found)
        for stage in found:
            stage[f"{key}_share"] = None if stage[key] is None else stage[key] / whole if whole else 0.0
    return found


def stage_bars(net: Network) -> Grid:
    """The shares as bars."""
    rows = []
    for stage in shares(net):
        output = stage["output"]
        rows.append([
            stage["name"],
            times([*output[1:], output[0]]),
            _bar(stage["parameters_share"]), f"{stage['parameters']:,}",
            _bar(stage["macs_share"]), f"{stage['macs']:,}",
            _bar(stage["training_memory_share"]),
            "?" if stage["training_memory"] is None else in_bytes(stage["training_memory"]),
        ])  # fmt: skip
    headings = ["stage", "output\nHxWxC", "share of parameters", "parameters", "share of MACs", "MACs",
                "share of memory kept in training", "kept in training"]  # fmt: skip
    classes = "" if net.num_classes is None else f", {net.num_classes:,} classes"
    right = [False, True, False, True, False, True, False, True]
    return Grid(f"{net.name}, {times(net.input)} image{classes}", headings, rows, right)


def _bar(share: float | None) -> str:
    """Such as ``████▌        37.3 %``."""
    if share is None:
        return "?"
    eighths = round(share * _BAR * 8)
    bar = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
    return f"{bar:<{_BAR}} {100 * share:5.1f} %"

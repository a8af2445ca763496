"""Formulas of size, receptive field, jump and offset of a sliding window (Araujo, Norris & Sim 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from visionkit.blocks import Axis, LayerRecord, Window

__all__ = ["geometry_lines"]


def geometry_lines(record: LayerRecord) -> Sequence[tuple[str, str]]:
    """Lines for size, receptive field, jump and offset of a record whose node has ``windows()``.

    There are separate lines for height and width where they differ.
    """
    node: Any = record.node
    windows: tuple[Window, Window] = node.windows()
    height = _axis_lines(windows[0], record.before.height, record.after.height)
    width = _axis_lines(windows[1], record.before.width, record.after.width)
    if height == width:
        return width
    return [
        *((f"{label} (H)", text) for label, text in height),
        *((f"{label} (W)", text) for label, text in width),
    ]


def _axis_lines(window: Window, before: Axis, after: Axis) -> list[tuple[str, str]]:
    fraction = "1 + ceil((W + 2P - F)/S)" if window.ceil_mode else "1 + (W + 2P - F)/S"
    if window.dilation > 1:
        fraction = fraction.replace("- F", "- D(F - 1) - 1")
    rounds = "" if window.ceil_mode or not _remainder(window, before) else ", rounded down"
    lines = [("size", f"{fraction} = {window.formula(before.size)}{rounds}")]
    if before.jump is None or before.offset is None or after.offset is None:
        return [*lines, ("sees", "the whole image, as what comes in does")]
    if before.receptive_field is None:
        lines.append(("sees", "the whole image, as what comes in does"))
    else:
        formula = f"{before.receptive_field} + ({window.extent} - 1)*{before.jump} = {after.receptive_field}"
        lines.append(("sees", f"{formula} {_pixels(after.receptive_field)} (receptive field)"))
    lines.append(
        ("jump", f"{before.jump}*{window.stride} = {after.jump} {_pixels(after.jump)} from one cell to the next")
    )
    lines.append((
        "offset",
        f"{before.offset:g} + (({window.extent} - 1)/2 - {window.padding})*{before.jump} = {after.offset:g}, "
        "the pixel under the middle of the first cell",
    ))  # fmt: skip
    return lines


def _remainder(window: Window, before: Axis) -> int:
    padding_end = window.padding if window.padding_end is None else window.padding_end
    return (before.size + window.padding + padding_end - window.extent) % window.stride


def _pixels(count: int | None) -> str:
    return "pixel" if count == 1 else "pixels"

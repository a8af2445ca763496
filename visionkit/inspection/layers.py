"""What is known of each layer: one row."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

from visionkit.blocks import (
    BLOCKS,
    Activation,
    Block,
    Conv2d,
    Flatten,
    LayerRecord,
    Node,
    Primitive,
    Sequential,
    Window,
)
from visionkit.inspection.network import Network, fold

__all__ = ["LayerRow", "layer_rows", "type_of"]

_FEW = 3

Both = int | float | list[int | None] | list[float | None] | None
"""One number, or [height, width] where they differ; None where it is not known or depends on the image."""


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One layer, or a block that is folded into one row.

    Attributes:
        name: Its parts' names, from the stage to the layer.
        type: What a file calls it, such as ``conv`` or ``3 x bottleneck``.
        runs: How often it is done for one image in inference, such as for each box; 0 for what only training needs.
        kernel_size: [height, width] of the one window that slides in it; None where none or several do.
        stride: The same window's step.
        padding: The same window's zeros at each end.
        output: [channels, height, width].
        size_formula: How the width comes about, or height and width where they differ.
        weights_per_neuron: Weights of one output number with its bias; None where several layers have weights.
        weights_formula: How it comes about.
        neurons: Numbers that are weighted sums.
        connections: Weights and biases of all neurons, shared ones counted each time.
        parameters: Independent trainable numbers.
        macs: Multiplications with a weight for one image.
        activation_memory: Bytes of its output for one image in float32.
        training_memory: Bytes of all that its layers make and training keeps for backward, for one image; None where
            it is known as a whole alone.
        receptive_field: Pixels that one cell sees, along an axis; None from a global operation on.
        jump: Pixels from one cell to the next.
        offset: Index of the pixel on which the first cell is centred, from 0.
        opaque: Whether it is known as a whole alone.
    """

    name: str
    type: str
    runs: int
    kernel_size: list[int] | None
    stride: list[int] | None
    padding: list[int] | None
    output: list[int]
    size_formula: str
    weights_per_neuron: int | None
    weights_formula: str
    neurons: int
    connections: int
    parameters: int
    macs: int
    activation_memory: int
    training_memory: int | None
    receptive_field: Both
    jump: Both
    offset: Both
    opaque: bool = False

    def to_json(self) -> dict[str, Any]:
        """All but ``opaque``."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "opaque"}


def layer_rows(net: Network, *, depth: int) -> list[LayerRow]:
    """A row for each layer or block that has at most ``depth`` names."""
    return [_row(record, net) for part in net.parts for record in fold(part, depth)]


def type_of(node: Node) -> str:
    """The block's own name, such as ``conv``, or those in it: ``3 x bottleneck``, ``conv + dropout``."""
    if isinstance(node, Conv2d):
        return "conv"
    if isinstance(node, Activation):
        return node.name
    name = type(node).__name__ if isinstance(node, Block) else node.made_by or type(node).__name__
    if name in ("Repeat", "Sequence") and isinstance(node, Sequential):
        kinds = [type_of(child) for child in node.children.values()]
        if len(set(kinds)) == 1:
            return kinds[0] if len(kinds) == 1 and name == "Sequence" else f"{len(kinds)} x {kinds[0]}"
        if kinds and len(kinds) <= _FEW:
            return " + ".join(kinds)
    registered = {BLOCKS.get(known).__name__: known for known in BLOCKS.names()}
    return registered.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _row(record: LayerRecord, net: Network) -> LayerRow:
    windows, size_formula = _window(record)
    weighted = [p for p in record.primitives if _weights(p) is not None]
    only = weighted[0] if len(weighted) == 1 else None
    height, width = record.after.height, record.after.width
    return LayerRow(
        name=".".join(record.path),
        type=type_of(record.node),
        runs=record.runs,
        kernel_size=[window.kernel for window in windows] or None,
        stride=[window.stride for window in windows] or None,
        padding=[window.padding for window in windows] or None,
        output=list(record.after.chw),
        size_formula=size_formula,
        weights_per_neuron=None if only is None else _weights(only),
        weights_formula="" if only is None else only.node.weights_formula(only.before),  # type: ignore[union-attr]
        neurons=record.neurons,
        connections=record.connections,
        parameters=record.parameters,
        macs=record.macs,
        activation_memory=record.after.nbytes,
        training_memory=None if net.kept is None else net.kept.get(record.path, 0),
        receptive_field=_both(height.receptive_field, width.receptive_field),
        jump=_both(height.jump, width.jump),
        offset=_both(height.offset, width.offset),
        opaque=any(getattr(p.node, "is_opaque", False) for p in record.primitives),
    )


def _weights(record: LayerRecord) -> int | None:
    assert isinstance(record.node, Primitive)
    return record.node.weights_per_neuron(record.before)


def _window(record: LayerRecord) -> tuple[tuple[Window, ...], str]:
    """The one window of this row over height and width, and the formula of the size it leaves."""
    sliding = [p for p in record.primitives if hasattr(p.node, "windows")]
    if isinstance(record.node, Flatten):
        return (), f"{'*'.join(str(n) for n in record.before.chw)} = {record.after.channels}"
    if len(sliding) != 1:
        return (), ""
    height, width = sliding[0].node.windows()  # type: ignore[union-attr]
    before = sliding[0].before
    formulas = height.formula(before.height.size), width.formula(before.width.size)
    return (height, width), formulas[1] if formulas[0] == formulas[1] else f"{formulas[0]}; {formulas[1]}"


def _both(height: Any, width: Any) -> Both:
    return height if height == width else [height, width]

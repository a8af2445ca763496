"""One row of numbers per layer or folded block."""

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

_MAX_LISTED_TYPES = 3

PerAxis = int | float | list[int | None] | list[float | None] | None
"""One number, or [height, width] where they differ; None where unknown or dependent on the image."""


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One layer, or a block folded into one row.

    Attributes:
        name: Dotted path from the stage to the layer.
        type: The block's name in a backbone file, such as ``conv``, or several, such as ``3 x bottleneck``.
        runs: How often it runs for one image in inference, such as once per box; 0 for layers of training alone.
        kernel_size: [height, width] of its only sliding window; None if it has none or several.
        stride: [height, width] of the same window.
        padding: [height, width] of the same window, at each end.
        output: [channels, height, width].
        size_formula: The formula of the width, or of height and width where they differ.
        weights_per_neuron: Weights of one output with its bias; None unless exactly one layer has weights.
        weights_formula: The formula of ``weights_per_neuron``.
        neurons: Outputs that are weighted sums.
        connections: Weights and biases summed over all neurons, shared ones counted each time.
        parameters: Trainable parameters.
        macs: Multiplications with a weight for one image.
        activation_memory: Bytes of its output for one image in float32.
        training_memory: Bytes per image that its layers make and training saves for backward; None if unknown.
        receptive_field: Pixels along an axis that one cell sees; None after a global operation.
        jump: Pixels from one cell to the next.
        offset: Index of the pixel on which the first cell is centred, from 0.
        opaque: Whether it contains an opaque part, such as a stage of a timm model.
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
    receptive_field: PerAxis
    jump: PerAxis
    offset: PerAxis
    opaque: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values of all fields but ``opaque``."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "opaque"}


def layer_rows(net: Network, *, depth: int) -> list[LayerRow]:
    """A row for each layer or block, down to paths of ``depth`` names."""
    return [_row(record, net) for part in net.parts for record in fold(part, depth)]


def type_of(node: Node) -> str:
    """The name of a block, such as ``conv``, or of its children: ``3 x bottleneck``, ``conv + dropout``."""
    if isinstance(node, Conv2d):
        return "conv"
    if isinstance(node, Activation):
        return node.name
    name = type(node).__name__ if isinstance(node, Block) else node.made_by or type(node).__name__
    if name in ("Repeat", "Sequential") and isinstance(node, Sequential):
        kinds = [type_of(child) for child in node.children.values()]
        if len(set(kinds)) == 1:
            return kinds[0] if len(kinds) == 1 and name == "Sequential" else f"{len(kinds)} x {kinds[0]}"
        if kinds and len(kinds) <= _MAX_LISTED_TYPES:
            return " + ".join(kinds)
    if name == "Sequential":
        return "sequence"
    registered = {BLOCKS.get(block).__name__: block for block in BLOCKS.names()}
    return registered.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _row(record: LayerRecord, net: Network) -> LayerRow:
    windows, size_formula = _window(record)
    weighted = [p for p in record.primitives if _weights(p) is not None]
    single = weighted[0] if len(weighted) == 1 else None
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
        weights_per_neuron=None if single is None else _weights(single),
        weights_formula="" if single is None else single.node.weights_formula(single.before),  # type: ignore[union-attr]
        neurons=record.neurons,
        connections=record.connections,
        parameters=record.parameters,
        macs=record.macs,
        activation_memory=record.after.nbytes,
        training_memory=None if net.saved_memory is None else net.saved_memory.get(record.path, 0),
        receptive_field=_per_axis(height.receptive_field, width.receptive_field),
        jump=_per_axis(height.jump, width.jump),
        offset=_per_axis(height.offset, width.offset),
        opaque=any(getattr(p.node, "is_opaque", False) for p in record.primitives),
    )


def _weights(record: LayerRecord) -> int | None:
    assert isinstance(record.node, Primitive)
    return record.node.weights_per_neuron(record.before)


def _window(record: LayerRecord) -> tuple[tuple[Window, ...], str]:
    """The only sliding windows of a record, over (height, width), and the formula of the output size."""
    windowed = [p for p in record.primitives if hasattr(p.node, "windows")]
    if isinstance(record.node, Flatten):
        return (), f"{'*'.join(str(n) for n in record.before.chw)} = {record.after.channels}"
    if len(windowed) != 1:
        return (), ""
    height, width = windowed[0].node.windows()  # type: ignore[union-attr]
    before = windowed[0].before
    formulas = height.formula(before.height.size), width.formula(before.width.size)
    return (height, width), formulas[1] if formulas[0] == formulas[1] else f"{formulas[0]}; {formulas[1]}"


def _per_axis(height: Any, width: Any) -> PerAxis:
    return height if height == width else [height, width]

"""Explanations of each kind of layer and combinator, with the numbers of its first occurrence in the formulas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from visionkit import blocks
from visionkit.blocks import FeatureShape, LayerRecord
from visionkit.inspection.geometry import geometry_lines
from visionkit.inspection.layers import type_of
from visionkit.inspection.network import Network
from visionkit.inspection.tables import format_bytes, format_shape

__all__ = ["Explanation", "explain"]

Lines = Sequence[tuple[str, str]]
"""Pairs of a label and its text or formula."""


@dataclass(frozen=True)
class Explanation:
    """The explanation of one kind of layer, with the numbers of an example.

    Attributes:
        kind: The kind, such as ``convolution``.
        name: Dotted path of the example, the first layer of this kind.
        lines: Pairs of a label and its text or formula.
    """

    kind: str
    name: str
    lines: Lines

    @property
    def title(self) -> str:
        """The title, such as ``convolution, by the example of c1.conv``."""
        return f"{self.kind}, by the example of {self.name}"

    def to_json(self) -> dict[str, Any]:
        """The explanation as plain values."""
        return {"kind": self.kind, "name": self.name, "lines": dict(self.lines)}


def explain(net: Network) -> list[Explanation]:
    """One explanation for each kind of layer and combinator, in the order of their first occurrence."""
    explanations: dict[str, Explanation] = {}
    pending = list(reversed(net.parts))
    while pending:
        record = pending.pop()
        pending += reversed(record.children)
        kind = _layer_kind(record)
        if kind and kind not in explanations:
            explanations[kind] = Explanation(kind, ".".join(record.path), _explanation_lines(record))
    return list(explanations.values())


def _layer_kind(record: LayerRecord) -> str:
    """The kind of a layer or combinator; empty where there is nothing to explain."""
    node = record.node
    if isinstance(node, blocks.Conv2d):
        if node.groups == 1:
            return "1x1 convolution" if node.kernel_size == (1, 1) else "convolution"
        return "depthwise convolution" if node.groups == record.before.channels else "grouped convolution"
    if isinstance(node, blocks.Identity):
        return ""
    if isinstance(node, blocks.Activation):
        return f"activation {node.name}"
    return next((name for kind, (name, _) in _KINDS.items() if isinstance(node, kind)), "") or (
        type_of(node) if isinstance(node, blocks.Primitive) else ""
    )


def _explanation_lines(record: LayerRecord) -> Lines:
    """The lines of a layer or combinator; for one without an entry in ``_KINDS``, the summary of its docstring."""
    node = record.node
    if isinstance(node, blocks.Conv2d):
        return _convolution(record, node)
    if isinstance(node, blocks.Activation):
        return [("function", _FUNCTIONS[node.name]), *_memory_line(record)]
    for kind, (_, make_lines) in _KINDS.items():
        if isinstance(node, kind):
            return make_lines(record, node)
    summary = (type(node).__doc__ or "").partition("\n")[0]
    return [("what", summary), *_size_line(record)]


def _convolution(record: LayerRecord, conv: blocks.Conv2d) -> Lines:
    before, after = record.before, record.after
    height, width = conv.kernel_size
    group_channels = before.channels // conv.groups
    if conv.groups == 1:
        channels = "the one channel" if before.channels == 1 else f"all {before.channels} channels"
        what = f"{after.channels} filters of {height}x{width}, each over {channels}"
    elif conv.groups == before.channels:
        what = f"{after.channels} filters of {height}x{width}, each over one channel of {before.channels}"
    else:
        what = (
            f"{after.channels} filters of {height}x{width} in {conv.groups} groups, "
            f"each over the {group_channels} channels of its group"
        )
    stride, padding = conv.windows()[1].stride, conv.windows()[1].padding
    return [
        ("what", f"{what}; they slide over the {_hwc(before)} map, stride {stride}, padding {padding}"),
        *geometry_lines(record),
        *_weight_lines(record, shared=True),
    ]


def _weight_lines(record: LayerRecord, *, shared: bool) -> Lines:
    node, after = record.node, record.after
    assert isinstance(node, blocks.Primitive)
    weights = node.weights_per_neuron(record.before) or 0
    channels, height, width = after.chw
    bias = weights * channels == record.parameters and " and a bias" if "1 + " in node.weights_formula(
        record.before) else ""  # fmt: skip
    neurons = f"{height}*{width}*{channels} = {record.neurons:,}" if shared else f"{record.neurons:,}"
    reason = ": the neurons of a map share their weights" if shared else ": nothing is shared"
    weights_without_bias = weights - bool(bias)
    return [
        ("weights", f"{node.weights_formula(record.before)} per neuron: one per number it looks at{bias}"),
        ("neurons", neurons),
        ("connections", f"{record.neurons:,}*{weights:,} = {record.connections:,}"),
        ("parameters", f"{channels:,}*{weights:,} = {record.parameters:,}{reason}"),
        (
            "MACs",
            f"{record.neurons:,}*{weights_without_bias:,} = {record.macs:,} multiplications with a weight per image",
        ),
        ("memory", f"{record.neurons:,} numbers of 4 bytes = {format_bytes(after.nbytes)} per image"),
    ]


def _linear(record: LayerRecord, layer: blocks.Linear) -> Lines:
    what = f"each of the {layer.out_features:,} neurons is connected to all {record.before.channels:,} numbers"
    return [("what", what), *_weight_lines(record, shared=False)]


def _pointwise(record: LayerRecord, layer: blocks.Pointwise) -> Lines:
    what = f"a fully connected layer over the {record.before.channels} channels of each cell: a 1x1 convolution"
    return [("what", what), *_weight_lines(record, shared=True)]


def _max_pool(record: LayerRecord, pool: blocks.MaxPool) -> Lines:
    indices = f"{record.after.numel:,} places of 8 bytes = {format_bytes(pool.memory(record.before).saved_bytes)}"
    return [
        ("what", f"the largest number under each {_window(pool)} window of each channel; no weights"),
        *geometry_lines(record),
        ("memory", f"in training torch also keeps where each maximum came from: {indices} per image"),
    ]


def _avg_pool(record: LayerRecord, pool: blocks.AvgPool) -> Lines:
    what = f"the mean of the numbers under each {_window(pool)} window of each channel; no weights"
    return [("what", what), *geometry_lines(record)]


def _adaptive_pool(record: LayerRecord, pool: blocks.AdaptivePool) -> Lines:
    _, height, width = record.after.chw
    statistic = "mean" if pool.kind == "avg" else "largest number"
    cells = "the whole map" if height == width == 1 else f"each of {height}x{width} windows that cover the map"
    return [("what", f"the {statistic} of {cells}, for each channel; no weights"), *_size_line(record),
            ("any size", "the output has this size for images of any size, so what follows fits all")]  # fmt: skip


def _flatten(record: LayerRecord, layer: blocks.Flatten) -> Lines:
    product = "*".join(f"{n}" for n in record.before.chw)
    return [("what", f"all numbers in one row: {product} = {record.after.channels:,}; nothing is computed")]


def _norm(over: str, formula: str) -> Callable[[LayerRecord, Any], Lines]:
    def lines_of_norm(record: LayerRecord, layer: Any) -> Lines:
        channels = record.before.channels
        lines = [("formula", f"{formula}, eps = {layer.eps:g}"), ("mean, var", over)]
        lines.append(("parameters", f"2*{channels} = {record.parameters:,}: gamma and beta of each channel"))
        if isinstance(layer, blocks.GroupNorm | blocks.InstanceNorm):
            lines.append(("sees", "the whole image from here on, since mean and variance are those of the whole map"))
        if layer.memory(record.before).buffer_bytes:
            lines.append(("saved too", f"2*{channels} running means and variances, which inference uses"))
        return lines

    return lines_of_norm


def _local_response(record: LayerRecord, layer: blocks.LocalResponseNorm) -> Lines:
    formula = (
        f"y = x / ({layer.k:g} + {layer.alpha:g}/{layer.size} * sum of x^2 over {layer.size} channels)^{layer.beta:g}"
    )
    return [("formula", formula), ("what", "a strong answer damps its neighbours in other channels; no weights")]


def _dropout(record: LayerRecord, layer: blocks.Dropout) -> Lines:
    what = "channels" if layer.channels else "numbers"
    return [
        ("training", f"each of the {what} becomes 0 with probability {layer.p:g}, the others are divided by "
                     f"1 - {layer.p:g}"),
        ("inference", "nothing happens; no weights"),
    ]  # fmt: skip


def _residual(record: LayerRecord, node: blocks.Residual) -> Lines:
    shortcut = record.children[1]
    description = "the input itself" if isinstance(shortcut.node, blocks.Identity) else (
        f"{shortcut.parameters:,} parameters that fit the input to the output's size" if shortcut.parameters
        else "the input, thinned out and padded with zero channels")  # fmt: skip
    return [
        ("formula", "y = body(x) + shortcut(x), so the gradient reaches x past the body, too"),
        ("shortcut", description),
        ("parameters", f"body {record.children[0].parameters:,} + shortcut {shortcut.parameters:,}"),
    ]


def _concat(record: LayerRecord, node: blocks.Concat) -> Lines:
    channels = [child.after.channels for child in record.children]
    return [("what", "the branches' maps are stacked along the channels"),
            ("channels", f"{' + '.join(map(str, channels))} = {record.after.channels}")]  # fmt: skip


def _gate(record: LayerRecord, node: blocks.Gate) -> Lines:
    weights = record.children[0].after
    return [
        (
            "formula",
            f"y = x * gate(x): {format_shape(weights.chw)} factors weigh the {format_shape(record.before.chw)} map",
        ),
        ("parameters", f"{record.parameters:,}"),
        ("sees", "the factors come from the whole map, so from here on each cell depends on the whole image"),
    ]


def _layer_scale(record: LayerRecord, layer: blocks.LayerScale) -> Lines:
    return [("formula", f"y = gamma * x, one gamma for each of {record.before.channels} channels, "
                        f"at first {layer.init_value:g}")]  # fmt: skip


def _shuffle(record: LayerRecord, layer: blocks.ChannelShuffle) -> Lines:
    return [("what", f"channels are dealt out from {layer.groups} groups in turn, so that groups meet; no weights")]


def _slice(record: LayerRecord, layer: blocks.ChannelSlice) -> Lines:
    return [("what", f"part {layer.index + 1} of {layer.parts} of the {record.before.channels} channels; no weights")]


def _zero_pad(record: LayerRecord, layer: blocks.ZeroPadShortcut) -> Lines:
    new = record.after.channels - record.before.channels
    return [("what", f"every {layer.stride}. cell, and {new} new channels of zeros; no weights"), *_size_line(record)]


def _memory_line(record: LayerRecord) -> Lines:
    memory = "written over its input" if record.in_place else f"a map of its own, {format_bytes(record.after.nbytes)}"
    return [("memory", f"one number for each of {record.before.numel:,}, {memory}; no weights")]


def _size_line(record: LayerRecord) -> Lines:
    return [("size", f"{_hwc(record.before)} becomes {_hwc(record.after)}")]


def _hwc(shape: FeatureShape) -> str:
    channels, height, width = shape.chw
    return format_shape((height, width, channels))


def _window(pool: Any) -> str:
    return format_shape([window.kernel for window in pool.windows()])


_NORMALISED = "y = gamma * (x - mean)/sqrt(var + eps) + beta"
_KINDS: dict[type, tuple[str, Callable[[LayerRecord, Any], Lines]]] = {
    blocks.Linear: ("fully connected layer", _linear),
    blocks.Pointwise: ("pointwise layer", _pointwise),
    blocks.MaxPool: ("max pooling", _max_pool),
    blocks.AvgPool: ("mean pooling", _avg_pool),
    blocks.AdaptivePool: ("adaptive pooling", _adaptive_pool),
    blocks.Flatten: ("flattening", _flatten),
    blocks.BatchNorm: ("batch norm", _norm("of each channel over the batch and all its cells", _NORMALISED)),
    blocks.GroupNorm: ("group norm", _norm("of each image's groups of channels over all their cells", _NORMALISED)),
    blocks.LayerNorm: ("layer norm", _norm("of each cell over its channels", _NORMALISED)),
    blocks.InstanceNorm: ("instance norm", _norm("of each image's channels over all their cells", _NORMALISED)),
    blocks.LocalResponseNorm: ("local response norm", _local_response),
    blocks.Dropout: ("dropout", _dropout),
    blocks.Residual: ("skip connection", _residual),
    blocks.Concat: ("concatenation", _concat),
    blocks.Gate: ("gate", _gate),
    blocks.LayerScale: ("layer scale", _layer_scale),
    blocks.ChannelShuffle: ("channel shuffle", _shuffle),
    blocks.ChannelSlice: ("channel slice", _slice),
    blocks.ZeroPadShortcut: ("zero-padded shortcut", _zero_pad),
}
_FUNCTIONS = {
    "relu": "f(x) = max(0, x)",
    "relu6": "f(x) = min(max(0, x), 6)",
    "tanh": "f(x) = (e^x - e^-x)/(e^x + e^-x), between -1 and 1; flat, and without gradient, far from 0",
    "sigmoid": "f(x) = 1/(1 + e^-x), between 0 and 1; flat, and without gradient, far from 0",
    "gelu": "f(x) = x * P(X <= x) with X normally distributed",
    "silu": "f(x) = x/(1 + e^-x)",
    "hardswish": "f(x) = x * min(max(0, x + 3), 6)/6",
    "hardsigmoid": "f(x) = min(max(0, x + 3), 6)/6",
    "leaky_relu": "f(x) = x above 0, a small multiple of x below",
}

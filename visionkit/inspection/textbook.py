"""The words for each kind of layer and joint, with the numbers of one record put in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from visionkit.blocks import (
    Activation,
    AdaptivePool,
    AvgPool,
    BatchNorm,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    Gate,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LayerRecord,
    LayerScale,
    Linear,
    LocalResponseNorm,
    MaxPool,
    Pointwise,
    Primitive,
    Residual,
)
from visionkit.blocks.pooling import Identity, ZeroPadShortcut
from visionkit.blocks.shuffle import ChannelShuffle, ChannelSlice
from visionkit.inspection.geometry import geometry_lines
from visionkit.inspection.layers import type_of
from visionkit.inspection.tables import in_bytes, times

__all__ = ["Lines", "layer_kind", "explanation_lines"]

Lines = Sequence[tuple[str, str]]
"""What is explained, and the words and formula."""


def layer_kind(record: LayerRecord) -> str:
    """The name of a kind, or an empty one where there is nothing to say."""
    node = record.node
    if isinstance(node, Conv2d):
        if node.groups == 1:
            return "1x1 convolution" if node.kernel_size == (1, 1) else "convolution"
        return "depthwise convolution" if node.groups == record.before.channels else "grouped convolution"
    if isinstance(node, Identity):
        return ""
    if isinstance(node, Activation):
        return f"activation {node.name}"
    return next((name for kind, (name, _) in _KINDS.items() if isinstance(node, kind)), "") or (
        type_of(node) if isinstance(node, Primitive) else ""
    )


def explanation_lines(record: LayerRecord) -> Lines:
    """What a textbook says of such a layer, with this one's numbers; of somebody else's, the first words of its own."""
    node = record.node
    if isinstance(node, Conv2d):
        return _convolution(record, node)
    if isinstance(node, Activation):
        return [("function", _FUNCTIONS[node.name]), *_not_weighted(record)]
    for kind, (_, words) in _KINDS.items():
        if isinstance(node, kind):
            return words(record, node)
    summary = (type(node).__doc__ or "").partition("\n")[0]
    return [("what", summary), *_shapes(record)]


def _convolution(record: LayerRecord, conv: Conv2d) -> Lines:
    before, after = record.before, record.after
    height, width = conv.kernel_size
    under = before.channels // conv.groups
    if conv.groups == 1:
        over = "the one channel" if before.channels == 1 else f"all {before.channels} channels"
        what = f"{after.channels} filters of {height}x{width}, each over {over}"
    elif conv.groups == before.channels:
        what = f"{after.channels} filters of {height}x{width}, each over one channel of {before.channels}"
    else:
        what = (
            f"{after.channels} filters of {height}x{width} in {conv.groups} groups, "
            f"each over the {under} channels of its group"
        )
    stride, padding = conv.windows()[1].stride, conv.windows()[1].padding
    return [
        ("what", f"{what}; they slide over the {_map(before)} map, stride {stride}, padding {padding}"),
        *geometry_lines(record),
        *_weighted(record, shared=True),
    ]


def _weighted(record: LayerRecord, *, shared: bool) -> Lines:
    node, after = record.node, record.after
    assert isinstance(node, Primitive)
    weights = node.weights_per_neuron(record.before) or 0
    channels, height, width = after.chw
    bias = weights * channels == record.parameters and " and a bias" if "1 + " in node.weights_formula(
        record.before) else ""  # fmt: skip
    neurons = f"{height}*{width}*{channels} = {record.neurons:,}" if shared else f"{record.neurons:,}"
    parameters = f"{channels:,}*{weights:,} = {record.parameters:,}"
    because = ": the neurons of a map share their weights" if shared else ": nothing is shared"
    plain = weights - bool(bias)
    return [
        ("weights", f"{node.weights_formula(record.before)} per neuron: one per number it looks at{bias}"),
        ("neurons", neurons),
        ("connections", f"{record.neurons:,}*{weights:,} = {record.connections:,}"),
        ("parameters", f"{parameters}{because}"),
        ("MACs", f"{record.neurons:,}*{plain:,} = {record.macs:,} multiplications with a weight per image"),
        ("memory", f"{record.neurons:,} numbers of 4 bytes = {in_bytes(after.nbytes)} per image"),
    ]


def _linear(record: LayerRecord, layer: Linear) -> Lines:
    what = f"each of the {layer.out_features:,} neurons is connected to all {record.before.channels:,} numbers"
    return [("what", what), *_weighted(record, shared=False)]


def _pointwise(record: LayerRecord, layer: Pointwise) -> Lines:
    what = f"a fully connected layer over the {record.before.channels} channels of each cell: a 1x1 convolution"
    return [("what", what), *_weighted(record, shared=True)]


def _max_pool(record: LayerRecord, pool: MaxPool) -> Lines:
    indices = f"{record.after.numel:,} places of 8 bytes = {in_bytes(pool.kept_bytes(record.before))}"
    return [
        ("what", f"the largest number under each {_window(pool)} window of each channel; no weights"),
        *geometry_lines(record),
        ("memory", f"in training torch also keeps where each maximum came from: {indices} per image"),
    ]


def _avg_pool(record: LayerRecord, pool: AvgPool) -> Lines:
    what = f"the mean of the numbers under each {_window(pool)} window of each channel; no weights"
    return [("what", what), *geometry_lines(record)]


def _adaptive_pool(record: LayerRecord, pool: AdaptivePool) -> Lines:
    _, height, width = record.after.chw
    word = "mean" if pool.kind == "avg" else "largest number"
    cells = "the whole map" if height == width == 1 else f"each of {height}x{width} windows that cover the map"
    return [("what", f"the {word} of {cells}, for each channel; no weights"), *_shapes(record),
            ("any size", "the output has this size for images of any size, so what follows fits all")]  # fmt: skip


def _flatten(record: LayerRecord, layer: Flatten) -> Lines:
    product = "*".join(f"{n}" for n in record.before.chw)
    return [("what", f"all numbers in one row: {product} = {record.after.channels:,}; nothing is computed")]


def _norm(over: str, formula: str) -> Callable[[LayerRecord, Any], Lines]:
    def words(record: LayerRecord, layer: Any) -> Lines:
        channels = record.before.channels
        lines = [("formula", f"{formula}, eps = {layer.eps:g}"), ("mean, var", over)]
        lines.append(("parameters", f"2*{channels} = {record.parameters:,}: gamma and beta of each channel"))
        if isinstance(layer, GroupNorm | InstanceNorm):
            lines.append(("sees", "the whole image from here on, since mean and variance are those of the whole map"))
        if layer.buffer_bytes(record.before):
            lines.append(("saved too", f"2*{channels} running means and variances, which inference uses"))
        return lines

    return words


def _local_response(record: LayerRecord, layer: LocalResponseNorm) -> Lines:
    formula = (
        f"y = x / ({layer.k:g} + {layer.alpha:g}/{layer.size} * sum of x^2 over {layer.size} channels)^{layer.beta:g}"
    )
    return [("formula", formula), ("what", "a strong answer damps its neighbours in other channels; no weights")]


def _dropout(record: LayerRecord, layer: Dropout) -> Lines:
    what = "channels" if layer.channels else "numbers"
    return [
        ("training", f"each of the {what} becomes 0 with probability {layer.p:g}, the others are divided by "
                     f"1 - {layer.p:g}"),
        ("inference", "nothing happens; no weights"),
    ]  # fmt: skip


def _residual(record: LayerRecord, node: Residual) -> Lines:
    shortcut = record.children[1]
    way = "the input itself" if isinstance(shortcut.node, Identity) else (
        f"{shortcut.parameters:,} parameters that fit the input to the output's size" if shortcut.parameters
        else "the input, thinned out and padded with zero channels")  # fmt: skip
    return [
        ("formula", "y = body(x) + shortcut(x), so the gradient reaches x past the body, too"),
        ("shortcut", way),
        ("parameters", f"body {record.children[0].parameters:,} + shortcut {shortcut.parameters:,}"),
    ]


def _concat(record: LayerRecord, node: Concat) -> Lines:
    channels = [child.after.channels for child in record.children]
    return [("what", "the branches' maps are stacked along the channels"),
            ("channels", f"{' + '.join(map(str, channels))} = {record.after.channels}")]  # fmt: skip


def _gate(record: LayerRecord, node: Gate) -> Lines:
    weights = record.children[0].after
    return [
        ("formula", f"y = x * gate(x): {times(weights.chw)} factors weigh the {times(record.before.chw)} map"),
        ("parameters", f"{record.parameters:,}"),
        ("sees", "the factors come from the whole map, so from here on each cell depends on the whole image"),
    ]


def _scale(record: LayerRecord, layer: LayerScale) -> Lines:
    return [("formula", f"y = gamma * x, one gamma for each of {record.before.channels} channels, "
                        f"at first {layer.init_value:g}")]  # fmt: skip


def _shuffle(record: LayerRecord, layer: ChannelShuffle) -> Lines:
    return [("what", f"channels are dealt out from {layer.groups} groups in turn, so that groups meet; no weights")]


def _slice(record: LayerRecord, layer: ChannelSlice) -> Lines:
    return [("what", f"part {layer.index + 1} of {layer.parts} of the {record.before.channels} channels; no weights")]


def _zero_pad(record: LayerRecord, layer: ZeroPadShortcut) -> Lines:
    new = record.after.channels - record.before.channels
    return [("what", f"every {layer.stride}. cell, and {new} new channels of zeros; no weights"), *_shapes(record)]


def _not_weighted(record: LayerRecord) -> Lines:
    where = "written over its input" if record.in_place else f"a map of its own, {in_bytes(record.after.nbytes)}"
    return [("memory", f"one number for each of {record.before.numel:,}, {where}; no weights")]


def _shapes(record: LayerRecord) -> Lines:
    return [("size", f"{_map(record.before)} becomes {_map(record.after)}")]


def _map(shape: Any) -> str:
    channels, height, width = shape.shape
    return times((height, width, channels))


def _window(pool: Any) -> str:
    return times([window.kernel for window in pool.windows()])


_NORMALISED = "y = gamma * (x - mean)/sqrt(var + eps) + beta"
_KINDS: dict[type, tuple[str, Callable[[LayerRecord, Any], Lines]]] = {
    Linear: ("fully connected layer", _linear),
    Pointwise: ("pointwise layer", _pointwise),
    MaxPool: ("max pooling", _max_pool),
    AvgPool: ("mean pooling", _avg_pool),
    AdaptivePool: ("adaptive pooling", _adaptive_pool),
    Flatten: ("flattening", _flatten),
    BatchNorm: ("batch norm", _norm("of each channel over the batch and all its cells", _NORMALISED)),
    GroupNorm: ("group norm", _norm("of each image's groups of channels over all their cells", _NORMALISED)),
    LayerNorm: ("layer norm", _norm("of each cell over its channels", _NORMALISED)),
    InstanceNorm: ("instance norm", _norm("of each image's channels over all their cells", _NORMALISED)),
    LocalResponseNorm: ("local response norm", _local_response),
    Dropout: ("dropout", _dropout),
    Residual: ("skip connection", _residual),
    Concat: ("concatenation", _concat),
    Gate: ("gate", _gate),
    LayerScale: ("layer scale", _scale),
    ChannelShuffle: ("channel shuffle", _shuffle),
    ChannelSlice: ("channel slice", _slice),
    ZeroPadShortcut: ("zero-padded shortcut", _zero_pad),
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

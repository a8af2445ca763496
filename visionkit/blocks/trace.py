"""Expansion of a tree of blocks, and shape inference and counting over it, without torch.

`expand` replaces composites by their parts; `trace` and `visionkit.blocks.build.build` walk the expanded tree, so
that shapes, counts and modules come from one description.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from visionkit.blocks.shapes import DoesNotFitError, FeatureShape, TooSmallError
from visionkit.blocks.tree import Block, Composite, Concat, Gate, Node, Primitive, Residual, Sequential
from visionkit.names import RESERVED_NAMES

__all__ = ["Join", "LayerError", "LayerRecord", "expand", "joined_shape", "primitives", "trace"]


class LayerError(ValueError):
    """A layer of a tree cannot take its input, or branches do not match.

    Attributes:
        path: Names from the root of the tree to the layer.
        shape: Shape of the input.
        layer: The primitive, or None where branches do not match.
        too_small: Whether a larger image would fit.
    """

    def __init__(
        self,
        message: str,
        *,
        path: tuple[str, ...],
        shape: FeatureShape,
        layer: Primitive | None = None,
        too_small: bool = False,
    ) -> None:
        super().__init__(message)
        self.path, self.shape, self.layer, self.too_small = path, shape, layer, too_small


@dataclass(frozen=True)
class Join:
    """Several feature maps that are combined into the input of a part.

    Attributes:
        sources: Their shapes; the maps are resized to the size of the result first, except for ``pool``.
        mode: ``concat`` along the channels, ``sum``, or ``pool``: regions are cut out of them (RoIAlign).
    """

    sources: tuple[FeatureShape, ...]
    mode: Literal["concat", "sum", "pool"] = "concat"


@dataclass(frozen=True)
class LayerRecord:
    """The trace of one node of an expanded tree: its shapes, counts and children.

    Attributes:
        path: Names from the root of the tree to this node.
        node: A primitive or a combinator.
        before: Input shape.
        after: Output shape.
        children: The records of a combinator's parts, in the order of execution.
        in_place: Whether a primitive writes its output over its input, as the built layer does.
        shared: Whether its weights belong to another record, which counts them.
        runs: How often it runs for one image in inference; 0 for layers of training alone.
        training_runs: The same in training; None where it equals ``runs``.
        join: How the input is combined from other maps; None where it is a single map.
    """

    path: tuple[str, ...]
    node: Node
    before: FeatureShape
    after: FeatureShape
    children: tuple[LayerRecord, ...] = ()
    in_place: bool = False
    shared: bool = False
    runs: int = 1
    training_runs: int | None = None
    join: Join | None = None

    @property
    def parts(self) -> tuple[LayerRecord, ...]:
        """The children; those of a shared record are marked as shared."""
        return tuple(replace(child, shared=True) for child in self.children) if self.shared else self.children

    @property
    def primitives(self) -> Iterator[LayerRecord]:
        """The records of all primitives below this one, in the order of execution."""
        if isinstance(self.node, Primitive):
            yield self
        for part in self.parts:
            yield from part.primitives

    @property
    def parameters(self) -> int:
        """Number of trainable parameters of all parts; 0 where the weights are shared."""
        if self.shared:
            return 0
        if isinstance(self.node, Primitive):
            return self.node.parameters(self.before)
        return sum(child.parameters for child in self.children)

    @property
    def macs(self) -> int:
        """Multiplications with a weight for one image, summed over all parts and runs."""
        if isinstance(self.node, Primitive):
            return self.runs * self.node.macs(self.before)
        return self.runs * sum(child.macs for child in self.children)

    @property
    def neurons(self) -> int:
        """Outputs that are weighted sums, as counted by Krizhevsky et al. 2012: pools and norms have none."""
        if isinstance(self.node, Primitive):
            return 0 if self.node.weights_per_neuron(self.before) is None else self.runs * self.after.numel
        return self.runs * sum(child.neurons for child in self.children)

    @property
    def connections(self) -> int:
        """Weights and biases summed over all neurons, shared ones counted each time (LeCun et al. 1998)."""
        if isinstance(self.node, Primitive):
            return self.neurons * (self.node.weights_per_neuron(self.before) or 0)
        return self.runs * sum(child.connections for child in self.children)


def expand(node: Node, shape: FeatureShape, *, path: tuple[str, ...] = ()) -> tuple[Node, FeatureShape]:
    """Replace every composite by its parts, so that only primitives and combinators are left.

    Args:
        node: Any tree of blocks.
        shape: Input shape; only its channels matter where no part flattens.
        path: Names of the enclosing parts, for errors.

    Returns:
        The expanded tree and its output shape.

    Raises:
        LayerError: If a layer cannot take its input or branches do not match.
    """
    if isinstance(node, Composite):
        try:
            parts = node.parts(shape.channels)
        except DoesNotFitError as error:
            raise LayerError(str(error), path=path, shape=shape) from None
        expanded, after = expand(parts, shape, path=path)
        return (expanded if isinstance(expanded, Block) else replace(expanded, made_by=type(node).__name__)), after
    if isinstance(node, Primitive):
        return node, _output(node, shape, path)
    assert not isinstance(node, Block)
    children: dict[str, Node] = {}
    outputs: list[FeatureShape] = []
    for name, child in node.children.items():
        if name in RESERVED_NAMES:
            raise LayerError(f"a part cannot be called '{name}', a word torch uses itself", path=path, shape=shape)
        before = outputs[-1] if outputs and isinstance(node, Sequential) else shape
        children[name], after = expand(child, before, path=(*path, name))
        outputs.append(after)
    return node.with_children(children), joined_shape(node, shape, outputs, path)


def trace(node: Node, shape: FeatureShape, *, path: tuple[str, ...] = ()) -> LayerRecord:
    """Infer the shapes of all nodes of an expanded tree from its input shape.

    Raises:
        LayerError: If a layer cannot take its input or branches do not match.
    """
    if isinstance(node, Primitive):
        return LayerRecord(path, node, shape, _output(node, shape, path))
    assert not isinstance(node, Block), "expand the tree first"
    children: list[LayerRecord] = []
    for name, child in node.children.items():
        previous = children[-1] if children and isinstance(node, Sequential) else None
        record = trace(child, previous.after if previous else shape, path=(*path, name))
        if previous and _is_overwritable(previous) and _runs_inplace(record):
            record = replace(record, in_place=True)
        children.append(record)
    after = joined_shape(node, shape, [child.after for child in children], path)
    return LayerRecord(path, node, shape, after, tuple(children))


def primitives(node: Node) -> Iterator[Primitive]:
    """All primitives of an expanded tree in the order of execution."""
    if isinstance(node, Primitive):
        yield node
    elif not isinstance(node, Block):
        for child in node.children.values():
            yield from primitives(child)


def _output(layer: Primitive, shape: FeatureShape, path: tuple[str, ...]) -> FeatureShape:
    try:
        return layer.output(shape)
    except DoesNotFitError as error:
        too_small = isinstance(error, TooSmallError)
        raise LayerError(str(error), path=path, shape=shape, layer=layer, too_small=too_small) from None


def joined_shape(node: Node, shape: FeatureShape, outputs: list[FeatureShape], path: tuple[str, ...]) -> FeatureShape:
    """Output shape of a combinator, from the output shapes of its children."""
    if isinstance(node, Sequential):
        return outputs[-1] if outputs else shape
    if isinstance(node, Gate):
        return _gated_shape(shape, outputs[0], path)
    assert isinstance(node, Residual | Concat)
    merged, (first, *names) = outputs[0], node.children
    for name, output in zip(names, outputs[1:], strict=True):
        gaps = [abs(a - b) for a, b in zip(merged.chw[1:], output.chw[1:], strict=True)]
        if any(gaps):
            raise LayerError(
                f"its branches '{first}' and '{name}' cannot be joined: their maps differ by {gaps[0]} rows and "
                f"{gaps[1]} columns. Strides must agree, and padding keep the size: padding=same, or 1 for a 3x3 pool "
                "of stride 1",
                path=path,
                shape=shape,
            )
        if isinstance(node, Residual) and merged.channels != output.channels:
            raise LayerError(
                f"its branches '{first}' and '{name}' cannot be added: they have {merged.channels} and "
                f"{output.channels} channels",
                path=path,
                shape=shape,
            )
        merged = merged.merge(output)
    if isinstance(node, Concat):
        merged = replace(merged, channels=sum(output.channels for output in outputs))
    return merged


def _gated_shape(shape: FeatureShape, gate: FeatureShape, path: tuple[str, ...]) -> FeatureShape:
    """Output shape of a gate: that of its input, to which the gate's map must broadcast."""
    if any(factor not in (1, size) for factor, size in zip(gate.chw, shape.chw, strict=True)):
        raise LayerError(
            f"its gate gives {_format_size(gate.chw)}, which cannot weigh {_format_size(shape.chw)}",
            path=path,
            shape=shape,
        )
    return shape.merge(gate)


def _runs_inplace(record: LayerRecord) -> bool:
    return isinstance(record.node, Primitive) and record.node.memory(record.before).runs_inplace


def _is_overwritable(record: LayerRecord) -> bool:
    """Whether the next layer may write over the output of this part."""
    if isinstance(record.node, Primitive):
        return record.node.memory(record.before).output == "overwritable"
    if isinstance(record.node, Sequential):
        return bool(record.children) and _is_overwritable(record.children[-1])
    return True


def _format_size(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)

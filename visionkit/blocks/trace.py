"""The walks over a tree of blocks that need no torch: open it, size it, count it.

`expand` opens the composites, threading the shape through; `trace` here and `visionkit.blocks.build.build` walk the
opened tree, so sizes, counts and modules all come from one description.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from visionkit.blocks.shapes import DoesNotFitError, FeatureShape, TooSmallError
from visionkit.blocks.tree import Block, Composite, Concat, Gate, Node, Primitive, Residual, Sequential
from visionkit.names import RESERVED_NAMES

__all__ = ["Join", "LayerError", "LayerRecord", "expand", "joined", "primitives", "trace", "writes_in_place"]


class LayerError(ValueError):
    """A layer that cannot take its input.

    Attributes:
        path: Names from the outermost part to the layer.
        shape: What came in.
        layer: The primitive, or None where branches do not match.
        too_small: Whether a larger image would do.
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
    """Maps that become one before a part reads them.

    Attributes:
        sources: The maps, each brought to the size of the whole.
        how: Stacked along the channels, added, or cut into regions (`sources` keep their size then).
    """

    sources: tuple[FeatureShape, ...]
    how: Literal["concat", "sum", "pool"] = "concat"


@dataclass(frozen=True)
class LayerRecord:
    """What `trace` saw of one node of an opened tree.

    Attributes:
        path: Names from the outermost part to this node.
        node: A primitive or a combinator.
        before: What comes in.
        after: What goes out.
        children: The records of a combinator's parts, in the order of execution.
        in_place: Whether a primitive writes its output over its input, as the built layer does.
        shared: Whether another record stands for the same weights and has counted them.
        runs: How often it is done for one image; 0 for what only training needs.
        training_runs: The same in training, where that is another number.
        join: How what comes in is made of other maps; None where it is one of them as it is.
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
        """The children; those of a shared record are shared, too."""
        return tuple(replace(child, shared=True) for child in self.children) if self.shared else self.children

    @property
    def primitives(self) -> Iterator[LayerRecord]:
        """The records of all primitives in it, in the order of execution."""
        if isinstance(self.node, Primitive):
            yield self
        for part in self.parts:
            yield from part.primitives

    @property
    def parameters(self) -> int:
        """Independent trainable numbers, those of all parts together; none where they are counted elsewhere."""
        if self.shared:
            return 0
        if isinstance(self.node, Primitive):
            return self.node.parameters(self.before)
        return sum(child.parameters for child in self.children)

    @property
    def macs(self) -> int:
        """Multiplications with a weight for one image, those of all parts together."""
        if isinstance(self.node, Primitive):
            return self.runs * self.node.macs(self.before)
        return self.runs * sum(child.macs for child in self.children)

    @property
    def neurons(self) -> int:
        """Numbers that come about as weighted sums, as Krizhevsky et al. 2012 count them: pools and norms have none."""
        if isinstance(self.node, Primitive):
            return 0 if self.node.weights_per_neuron(self.before) is None else self.runs * self.after.numel
        return self.runs * sum(child.neurons for child in self.children)

    @property
    def connections(self) -> int:
        """Each neuron's weights and bias, added up over all neurons, shared or not (LeCun et al. 1998)."""
        if isinstance(self.node, Primitive):
            return self.neurons * (self.node.weights_per_neuron(self.before) or 0)
        return self.runs * sum(child.connections for child in self.children)


def expand(node: Node, shape: FeatureShape, *, path: tuple[str, ...] = ()) -> tuple[Node, FeatureShape]:
    """Open every composite, so that primitives and combinators are left.

    Args:
        node: Any tree of blocks.
        shape: What comes in; only its channels matter where no part flattens.
        path: Names of the parts around this one, for errors.

    Returns:
        The opened tree and the shape behind it.

    Raises:
        LayerError: If a layer cannot take its input or branches do not match.
    """
    if isinstance(node, Composite):
        try:
            parts = node.parts(shape.channels)
        except DoesNotFitError as error:
            raise LayerError(str(error), path=path, shape=shape) from None
        opened, after = expand(parts, shape, path=path)
        return (opened if isinstance(opened, Block) else replace(opened, made_by=type(node).__name__)), after
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
    return node.with_children(children), joined(node, shape, outputs, path)


def trace(node: Node, shape: FeatureShape, *, path: tuple[str, ...] = ()) -> LayerRecord:
    """Send a shape through an opened tree and write down what each part does to it.

    Raises:
        LayerError: If a layer cannot take its input or branches do not match.
    """
    if isinstance(node, Primitive):
        return LayerRecord(path, node, shape, _output(node, shape, path))
    assert not isinstance(node, Block), "expand the tree first"
    children: list[LayerRecord] = []
    previous: Node | None = None
    for name, child in node.children.items():
        before = children[-1].after if children and isinstance(node, Sequential) else shape
        record = trace(child, before, path=(*path, name))
        if isinstance(node, Sequential) and writes_in_place(child, previous):
            record = replace(record, in_place=True)
        children.append(record)
        previous = child
    after = joined(node, shape, [child.after for child in children], path)
    return LayerRecord(path, node, shape, after, tuple(children))


def primitives(node: Node) -> Iterator[Primitive]:
    """All primitives of an opened tree in the order of execution."""
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


def joined(node: Node, shape: FeatureShape, outputs: list[FeatureShape], path: tuple[str, ...]) -> FeatureShape:
    """The shape behind a combinator, from the shapes behind its children."""
    if isinstance(node, Sequential):
        return outputs[-1] if outputs else shape
    if isinstance(node, Gate):
        return _weigh(shape, outputs[0], path)
    assert isinstance(node, Residual | Concat)
    joined, (first, *names) = outputs[0], node.children
    for name, other in zip(names, outputs[1:], strict=True):
        gaps = [abs(one - another) for one, another in zip(joined.chw[1:], other.chw[1:], strict=True)]
        if any(gaps):
            raise LayerError(
                f"its branches '{first}' and '{name}' cannot be joined: their maps differ by {gaps[0]} rows and "
                f"{gaps[1]} columns. Strides must agree, and padding keep the size: padding=same, or 1 for a 3x3 pool "
                "of stride 1",
                path=path,
                shape=shape,
            )
        if isinstance(node, Residual) and joined.channels != other.channels:
            raise LayerError(
                f"its branches '{first}' and '{name}' cannot be added: they have {joined.channels} and "
                f"{other.channels} channels",
                path=path,
                shape=shape,
            )
        joined = joined.merge(other)
    if isinstance(node, Concat):
        joined = replace(joined, channels=sum(output.channels for output in outputs))
    return joined


def _weigh(shape: FeatureShape, gate: FeatureShape, path: tuple[str, ...]) -> FeatureShape:
    """The shape behind a gate: its own shape, if the gate's broadcasts to it."""
    if any(one not in (1, whole) for one, whole in zip(gate.chw, shape.chw, strict=True)):
        raise LayerError(
            f"its gate gives {_times(gate.chw)}, which cannot weigh {_times(shape.chw)}", path=path, shape=shape
        )
    return shape.merge(gate)


def writes_in_place(child: Node, previous: Node | None) -> bool:
    """Whether a part of a sequence writes its output over what the part before it returns."""
    return isinstance(child, Primitive) and child.overwrites and previous is not None and _is_overwritable(previous)


def _is_overwritable(node: Node) -> bool:
    """Whether the layer behind this node may write over what it returns."""
    if isinstance(node, Primitive):
        return node.overwritable
    if isinstance(node, Sequential):
        return bool(node.children) and _is_overwritable(list(node.children.values())[-1])
    return True


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)

"""The tree that every block is made of, and the walks over it.

A *primitive* knows its arithmetic and its torch layer. A *composite* only says what it is
made of: `Composite.parts` gives a tree of blocks joined by `Sequence`, `Residual`, `Concat`
and `Gate`. `expand` opens the composites, threading the shape through; `trace` and `build`
walk the opened tree, so sizes, counts and modules all come from one description.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from visionkit.blocks.signal import DoesNotFitError, Signal

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "Block",
    "Composite",
    "Concat",
    "Gate",
    "LayerError",
    "Node",
    "Primitive",
    "Record",
    "Residual",
    "Sequence",
    "build",
    "expand",
    "hold_stride",
    "primitives",
    "trace",
]


class Block(ABC):  # noqa: B024  (a name for both kinds)
    """What a configuration names by ``type``: a frozen dataclass whose fields are its keys."""


class Primitive(Block):
    """One layer of torch, or one of `visionkit.layers`."""

    overwritable: ClassVar[bool] = True
    """Whether the next layer may write over the output: nobody else holds it, and backward does not need it."""

    def output(self, signal: Signal) -> Signal:
        """The signal after this layer.

        Raises:
            DoesNotFitError: If the layer cannot take such an input.
        """
        return signal

    def parameters(self, signal: Signal) -> int:
        """Number of independent trainable numbers, given the signal that comes in."""
        return 0

    @abstractmethod
    def build(self, signal: Signal) -> nn.Module:
        """The torch layer, initialised, for the signal that comes in."""

    @property
    def stride_factor(self) -> int:
        """By how much this layer divides height and width (the larger of both)."""
        return 1

    def spread(self, dilation: int, *, keep_stride: bool) -> Primitive:
        """This layer behind layers whose stride was taken away, as `hold_stride` asks for it.

        Args:
            dilation: The product of the strides taken away before: by how much to spread the taps.
            keep_stride: False if this layer's own stride is to be taken away too.
        """
        return self


class Composite(Block):
    """A block that is made of other blocks and writes neither arithmetic nor module code."""

    @abstractmethod
    def parts(self, in_channels: int) -> Node:
        """The tree this block stands for, given the channels that come in."""


@dataclass(frozen=True)
class Sequence:
    """Parts one after the other; their names become module names. ``made_by`` is the composite's name."""

    children: Mapping[str, Node]
    made_by: str = ""


@dataclass(frozen=True)
class Residual:
    """``body(x) + shortcut(x)`` (He et al. 2016)."""

    body: Node
    shortcut: Node
    made_by: str = ""

    @property
    def children(self) -> Mapping[str, Node]:
        return {"body": self.body, "shortcut": self.shortcut}


@dataclass(frozen=True)
class Concat:
    """The outputs of all branches, stacked along the channels (Szegedy et al. 2015; Huang et al. 2017)."""

    children: Mapping[str, Node]
    made_by: str = ""


@dataclass(frozen=True)
class Gate:
    """``x * body(x)``, the body's map being broadcast over ``x`` (Hu et al. 2018)."""

    body: Node
    made_by: str = ""

    @property
    def children(self) -> Mapping[str, Node]:
        return {"body": self.body}


Node: TypeAlias = "Block | Sequence | Residual | Concat | Gate"


class LayerError(ValueError):
    """A layer that cannot take its input.

    Attributes:
        path: Names from the outermost part to the layer.
        signal: What came in.
        layer: The primitive, or None where branches do not match.
    """

    def __init__(self, message: str, *, path: tuple[str, ...], signal: Signal, layer: Primitive | None) -> None:
        super().__init__(message)
        self.path, self.signal, self.layer = path, signal, layer


@dataclass(frozen=True)
class Record:
    """What `trace` saw of one primitive."""

    path: tuple[str, ...]
    layer: Primitive
    before: Signal
    after: Signal

    @property
    def parameters(self) -> int:
        return self.layer.parameters(self.before)


def expand(node: Node, signal: Signal, *, path: tuple[str, ...] = ()) -> tuple[Node, Signal]:
    """Open every composite, so that primitives and combinators are left.

    Args:
        node: Any tree of blocks.
        signal: What comes in; only its channels matter where no part flattens.
        path: Names of the parts around this one, for errors.

    Returns:
        The opened tree and the signal behind it.

    Raises:
        LayerError: If a layer cannot take its input or branches do not match.
    """
    if isinstance(node, Composite):
        opened, after = expand(node.parts(signal.channels), signal, path=path)
        return (opened if isinstance(opened, Block) else replace(opened, made_by=type(node).__name__)), after
    if isinstance(node, Primitive):
        return node, _output(node, signal, path)
    assert not isinstance(node, Block)
    children: dict[str, Node] = {}
    outputs: list[Signal] = []
    for name, child in node.children.items():
        before = outputs[-1] if outputs and isinstance(node, Sequence) else signal
        children[name], after = expand(child, before, path=(*path, name))
        outputs.append(after)
    return _with_children(node, children), _join(node, signal, outputs, path)


def trace(node: Node, signal: Signal, *, path: tuple[str, ...] = ()) -> tuple[Signal, list[Record]]:
    """Send a signal through an opened tree and write down what each layer does to it.

    Returns:
        The signal behind the tree, and one record per primitive in the order of execution.

    Raises:
        LayerError: If a layer cannot take its input or branches do not match.
    """
    if isinstance(node, Primitive):
        after = _output(node, signal, path)
        return after, [Record(path, node, signal, after)]
    assert not isinstance(node, Block), "expand the tree first"
    records: list[Record] = []
    outputs: list[Signal] = []
    for name, child in node.children.items():
        before = outputs[-1] if outputs and isinstance(node, Sequence) else signal
        after, seen = trace(child, before, path=(*path, name))
        records += seen
        outputs.append(after)
    return _join(node, signal, outputs, path), records


def build(node: Node, signal: Signal) -> tuple[nn.Module, Signal]:
    """Make the torch module of an opened tree.

    Args:
        node: An opened tree.
        signal: What comes in; layers take their input channels from it.

    Returns:
        The module, with freshly initialised weights, and the signal behind it.
    """
    from visionkit import layers

    if isinstance(node, Primitive):
        return node.build(signal), node.output(signal)
    assert not isinstance(node, Block), "expand the tree first"
    modules: dict[str, nn.Module] = {}
    outputs: list[Signal] = []
    previous: Node | None = None
    for name, child in node.children.items():
        before = outputs[-1] if outputs and isinstance(node, Sequence) else signal
        modules[name], after = build(child, before)
        if isinstance(node, Sequence) and isinstance(child, Primitive) and previous is not None:
            layers.overwrite_input(modules[name], allowed=_is_overwritable(previous))
        outputs.append(after)
        previous = child
    return layers.COMBINE[type(node).__name__](modules), _join(node, signal, outputs, ())


def hold_stride(node: Node, limit: int, *, stride: int = 1, dilation: int = 1) -> tuple[Node, int, int]:
    """Dilate what comes after ``limit`` is reached, so that the total stride never exceeds it.

    The taps of later layers are spread by what was taken away and so see the same pixels
    (Chen et al. 2017, arXiv:1706.05587, section 3.1).

    Args:
        node: An opened tree.
        limit: The largest total stride.
        stride: The stride of what comes in.
        dilation: The product of the strides already taken away.

    Returns:
        The tree, the stride behind it, and the dilation for what follows.
    """
    if isinstance(node, Primitive):
        factor = node.stride_factor
        keep = stride * factor <= limit
        node = node.spread(dilation, keep_stride=keep)
        return (node, stride * factor, dilation) if keep else (node, stride, dilation * factor)
    assert not isinstance(node, Block), "expand the tree first"
    children: dict[str, Node] = {}
    ends = [(stride, dilation)]
    for name, child in node.children.items():
        start = ends[-1] if isinstance(node, Sequence) else ends[0]
        children[name], *end = hold_stride(child, limit, stride=start[0], dilation=start[1])
        ends.append((end[0], end[1]))
    if isinstance(node, Gate):
        return _with_children(node, children), stride, dilation
    return _with_children(node, children), *max(ends[-1], ends[min(1, len(ends) - 1)])


def primitives(node: Node) -> Iterator[Primitive]:
    """All primitives of an opened tree in the order of execution."""
    if isinstance(node, Primitive):
        yield node
    elif not isinstance(node, Block):
        for child in node.children.values():
            yield from primitives(child)


def _output(layer: Primitive, signal: Signal, path: tuple[str, ...]) -> Signal:
    try:
        return layer.output(signal)
    except DoesNotFitError as error:
        raise LayerError(str(error), path=path, signal=signal, layer=layer) from None


def _join(node: Node, signal: Signal, outputs: list[Signal], path: tuple[str, ...]) -> Signal:
    """The signal behind a combinator, from the signals behind its children."""
    if isinstance(node, Sequence):
        return outputs[-1] if outputs else signal
    if isinstance(node, Gate):
        return signal.merge(outputs[0])
    joined = outputs[0]
    for other in outputs[1:]:
        sizes_differ = joined.shape[1:] != other.shape[1:]
        if sizes_differ or (isinstance(node, Residual) and joined.channels != other.channels):
            raise LayerError(
                f"its branches give {_times(joined.shape)} and {_times(other.shape)} and cannot be joined",
                path=path,
                signal=signal,
                layer=None,
            )
        joined = joined.merge(other)
    if isinstance(node, Concat):
        joined = replace(joined, channels=sum(output.channels for output in outputs))
    return joined


def _with_children(node: Node, children: dict[str, Node]) -> Node:
    if isinstance(node, Residual):
        return replace(node, body=children["body"], shortcut=children["shortcut"])
    if isinstance(node, Gate):
        return replace(node, body=children["body"])
    assert isinstance(node, Sequence | Concat)
    return replace(node, children=children)


def _is_overwritable(node: Node) -> bool:
    """Whether the layer behind this node may write over what it returns."""
    if isinstance(node, Primitive):
        return node.overwritable
    if isinstance(node, Sequence):
        return bool(node.children) and _is_overwritable(list(node.children.values())[-1])
    return True


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)

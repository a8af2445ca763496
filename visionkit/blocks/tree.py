"""The tree that every block is made of: primitives, composites, and the combinators that join them.

A *primitive* knows its arithmetic and its torch layer. A *composite* only says what it is
made of: `Composite.parts` gives a tree of blocks joined by `Sequence`, `Residual`, `Concat`
and `Gate`. `visionkit.blocks.walks` does everything else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from visionkit.blocks.signal import Signal

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Block", "Composite", "Concat", "Gate", "Node", "Primitive", "Residual", "Sequence"]


class Block(ABC):  # noqa: B024  (a name for both kinds)
    """What a configuration names by ``type``: a frozen dataclass whose fields are its keys."""


class Primitive(Block):
    """One layer of torch, or one of `visionkit.layers`."""

    overwritable: ClassVar[bool] = False
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

    def macs(self, signal: Signal) -> int:
        """Multiplications with a weight for one image, given the signal that comes in."""
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

    def with_children(self, children: Mapping[str, Node]) -> Sequence:
        """The same around other parts."""
        return replace(self, children=children)


@dataclass(frozen=True)
class Residual:
    """``body(x) + shortcut(x)`` (He et al. 2016).

    ``drop_probability`` is how often an image goes through the shortcut alone in training: stochastic
    depth (Huang et al. 2016, arXiv:1603.09382).
    """

    body: Node
    shortcut: Node
    made_by: str = ""
    drop_probability: float = 0.0

    @property
    def children(self) -> Mapping[str, Node]:
        return {"body": self.body, "shortcut": self.shortcut}

    def with_children(self, children: Mapping[str, Node]) -> Residual:
        """The same around other parts."""
        return replace(self, body=children["body"], shortcut=children["shortcut"])


@dataclass(frozen=True)
class Concat:
    """The outputs of all branches, stacked along the channels (Szegedy et al. 2015; Huang et al. 2017)."""

    children: Mapping[str, Node]
    made_by: str = ""

    def with_children(self, children: Mapping[str, Node]) -> Concat:
        """The same around other parts."""
        return replace(self, children=children)


@dataclass(frozen=True)
class Gate:
    """``x * body(x)``, the body's map being broadcast over ``x`` (Hu et al. 2018)."""

    body: Node
    made_by: str = ""

    @property
    def children(self) -> Mapping[str, Node]:
        return {"body": self.body}

    def with_children(self, children: Mapping[str, Node]) -> Gate:
        """The same around other parts."""
        return replace(self, body=children["body"])


Node: TypeAlias = "Block | Sequence | Residual | Concat | Gate"

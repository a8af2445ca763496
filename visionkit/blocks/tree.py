"""The tree that every block is made of: primitives, composites, and the combinators that join them.

A *primitive* knows its arithmetic and its torch layer. A *composite* only says what it is
made of: `Composite.parts` gives a tree of blocks joined by `Sequential`, `Residual`, `Concat`
and `Gate`. `visionkit.blocks.trace` does everything else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from visionkit.blocks.shapes import FeatureShape

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Block", "Composite", "Concat", "Gate", "SavedForBackward", "Node", "Primitive", "Residual", "Sequential"]

SavedForBackward = Literal["input", "output", "nothing"]


class Block(ABC):  # noqa: B024  (a name for both kinds)
    """What a configuration names by ``type``: a frozen dataclass whose fields are its keys."""


class Primitive(Block):
    """One layer of torch, or one of `visionkit.layers`."""

    overwritable: ClassVar[bool] = False
    """Whether the next layer may write over the output: nobody else holds it, and backward does not need it."""

    is_view: ClassVar[bool] = False
    """Whether the output lies in the input's own memory."""
    is_opaque: ClassVar[bool] = False
    """Whether only the whole is known: neither what a cell sees nor which maps it makes on the way."""

    @property
    def saved_for_backward(self) -> SavedForBackward:
        """The map that backward needs of this layer (the gradient of its weights, or of its function)."""
        return "input"

    @property
    def overwrites(self) -> bool:
        """Whether it may write its output over its input, where that is `overwritable`."""
        return False

    def output(self, shape: FeatureShape) -> FeatureShape:
        """The shape after this layer.

        Raises:
            DoesNotFitError: If the layer cannot take such an input.
        """
        return shape

    def parameters(self, shape: FeatureShape) -> int:
        """Number of independent trainable numbers, given the shape that comes in."""
        return 0

    def macs(self, shape: FeatureShape) -> int:
        """Multiplications with a weight for one image, given the shape that comes in."""
        return 0

    def weights_per_neuron(self, shape: FeatureShape) -> int | None:
        """Weights of one output number with its bias, or None for a layer that forms no weighted sums."""
        return None

    def weights_formula(self, shape: FeatureShape) -> str:
        """How `weights_per_neuron` comes about, such as ``1 + 11*11*3 = 364``; empty where there are none."""
        return ""

    def kept_bytes(self, shape: FeatureShape) -> int:
        """What backward needs of one image beside input or output, such as where each maximum came from."""
        return 0

    def scratch_bytes(self, shape: FeatureShape, *, backward: bool = False) -> int:
        """What this layer holds of one image while it works, beside input, output and `kept_bytes`."""
        return 0

    def buffer_bytes(self, shape: FeatureShape) -> int:
        """What is saved with the weights without being one, such as the running statistics of a norm."""
        return 0

    @abstractmethod
    def build(self, shape: FeatureShape) -> nn.Module:
        """The torch layer, initialised, for the shape that comes in."""

    @property
    def stride_factor(self) -> int:
        """By how much this layer divides height and width (the larger of both)."""
        return 1

    def dilate(self, dilation: int, *, keep_stride: bool) -> Primitive:
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
class Sequential:
    """Parts one after the other; their names become module names. ``made_by`` is the composite's name."""

    children: Mapping[str, Node]
    made_by: str = ""

    def with_children(self, children: Mapping[str, Node]) -> Sequential:
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


Node: TypeAlias = "Block | Sequential | Residual | Concat | Gate"

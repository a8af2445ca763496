"""The tree of blocks: primitives, composites, and the combinators that join them.

A *primitive* is one layer: its output shape, its counts and its torch module. A *composite* is made of other
blocks: `Composite.parts` returns a tree joined by `Sequential`, `Residual`, `Concat` and `Gate`, from which
`visionkit.blocks.trace` and `visionkit.blocks.build` derive the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from visionkit.blocks.shapes import FeatureShape

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Block", "Composite", "Concat", "Gate", "Memory", "Node", "Primitive", "Residual", "Sequential"]


class Block(ABC):  # noqa: B024  (common base of Primitive and Composite)
    """A frozen dataclass that a configuration names by ``type``; its fields are the keys."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What one image takes of memory in a layer, besides its input and output; in bytes.

    Attributes:
        saved: The map that is saved for backward, for the gradient of the weights or of the function.
        saved_bytes: What is saved for backward besides it, such as the indices of the maxima.
        scratch_bytes: What the forward pass needs for a while, unless it is saved.
        backward_scratch_bytes: What the backward pass needs for a while.
        buffer_bytes: Buffers in the state dict, such as the running statistics of a norm.
        output: ``view`` where it lies in the input's memory; ``overwritable`` where the next layer may write over it:
            nothing else references it, and backward does not need it; else ``kept``.
        runs_inplace: Whether the torch layer can write over an input that is overwritable.
    """

    saved: Literal["input", "output", "nothing"] = "input"
    saved_bytes: int = 0
    scratch_bytes: int = 0
    backward_scratch_bytes: int = 0
    buffer_bytes: int = 0
    output: Literal["kept", "overwritable", "view"] = "kept"
    runs_inplace: bool = False


class Primitive(Block):
    """One layer of torch, or one of `visionkit.layers`."""

    is_opaque: ClassVar[bool] = False
    """Whether receptive field and intermediate maps are unknown, as for a stage of a timm model."""

    def output(self, shape: FeatureShape) -> FeatureShape:
        """Output shape for an input shape.

        Raises:
            DoesNotFitError: If the layer cannot take such an input.
        """
        return shape

    def parameters(self, shape: FeatureShape) -> int:
        """Number of trainable parameters for an input shape."""
        return 0

    def macs(self, shape: FeatureShape) -> int:
        """Multiplications with a weight for one image of an input shape."""
        return 0

    def weights_per_neuron(self, shape: FeatureShape) -> int | None:
        """Weights of one output with its bias; None for a layer without weighted sums."""
        return None

    def weights_formula(self, shape: FeatureShape) -> str:
        """The formula of `weights_per_neuron`, such as ``1 + 11*11*3 = 364``; empty where there are none."""
        return ""

    def memory(self, shape: FeatureShape) -> Memory:
        """What the layer keeps in memory for an input shape; by default its input for backward."""
        return Memory()

    @abstractmethod
    def build(self, shape: FeatureShape) -> nn.Module:
        """The torch layer, initialised, for an input shape."""

    @property
    def stride_factor(self) -> int:
        """Factor by which the layer divides height and width, the larger of both."""
        return 1

    def dilate(self, dilation: int, *, keep_stride: bool) -> Primitive:
        """This layer, dilated, as `visionkit.blocks.rewrite.replace_stride_with_dilation` needs it.

        Args:
            dilation: Product of the strides removed before this layer.
            keep_stride: False to remove the stride of this layer, too.
        """
        return self


class Composite(Block):
    """A block that is made of other blocks; shapes, counts and modules follow from its parts."""

    @abstractmethod
    def parts(self, in_channels: int) -> Node:
        """The tree of the block's parts for ``in_channels`` input channels."""


@dataclass(frozen=True)
class Sequential:
    """Parts in sequence; their names become module names. ``made_by`` is the class name of the expanded composite."""

    children: Mapping[str, Node]
    made_by: str = ""

    def with_children(self, children: Mapping[str, Node]) -> Sequential:
        """A copy with other children."""
        return replace(self, children=children)


@dataclass(frozen=True)
class Residual:
    """``body(x) + shortcut(x)`` (He et al. 2016).

    ``drop_probability``: in training, the probability that the body is dropped for an image (stochastic depth,
    Huang et al. 2016, arXiv:1603.09382).
    """

    body: Node
    shortcut: Node
    made_by: str = ""
    drop_probability: float = 0.0

    @property
    def children(self) -> Mapping[str, Node]:
        return {"body": self.body, "shortcut": self.shortcut}

    def with_children(self, children: Mapping[str, Node]) -> Residual:
        """A copy with other children."""
        return replace(self, body=children["body"], shortcut=children["shortcut"])


@dataclass(frozen=True)
class Concat:
    """The outputs of all branches, stacked along the channels (Szegedy et al. 2015; Huang et al. 2017)."""

    children: Mapping[str, Node]
    made_by: str = ""

    def with_children(self, children: Mapping[str, Node]) -> Concat:
        """A copy with other children."""
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
        """A copy with other children."""
        return replace(self, body=children["body"])


Node: TypeAlias = "Block | Sequential | Residual | Concat | Gate"

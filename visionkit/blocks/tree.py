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

__all__ = ["Block", "Composite", "Concat", "Gate", "Node", "Primitive", "Residual", "SavedForBackward", "Sequential"]

SavedForBackward = Literal["input", "output", "nothing"]


class Block(ABC):  # noqa: B024  (common base of Primitive and Composite)
    """A frozen dataclass that a configuration names by ``type``; its fields are the keys."""


class Primitive(Block):
    """One layer of torch, or one of `visionkit.layers`."""

    overwritable: ClassVar[bool] = False
    """Whether the next layer may write over the output: nothing else references it, and backward does not need it."""

    is_view: ClassVar[bool] = False
    """Whether the output is a view of the input's memory."""
    is_opaque: ClassVar[bool] = False
    """Whether receptive field and intermediate maps are unknown, as for a stage of a timm model."""

    @property
    def saved_for_backward(self) -> SavedForBackward:
        """The map that is saved for the gradient of the weights or of the function."""
        return "input"

    @property
    def supports_inplace(self) -> bool:
        """Whether the torch layer can run in place, where its input is `overwritable`."""
        return False

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

    def saved_bytes(self, shape: FeatureShape) -> int:
        """Bytes saved for backward per image besides `saved_for_backward`, such as the indices of the maxima."""
        return 0

    def scratch_bytes(self, shape: FeatureShape, *, backward: bool = False) -> int:
        """Temporary bytes per image while the layer runs, besides input, output and `saved_bytes`."""
        return 0

    def buffer_bytes(self, shape: FeatureShape) -> int:
        """Bytes of the buffers in the state dict, such as the running statistics of a norm."""
        return 0

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

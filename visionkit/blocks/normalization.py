"""Normalisation layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, PlainValidator

from visionkit.blocks.activation import ActivationField
from visionkit.blocks.registry import Count, block
from visionkit.blocks.shapes import BYTES, FeatureShape
from visionkit.blocks.tree import Composite, Memory, Node, Primitive, Sequential
from visionkit.registry import Registry
from visionkit.schema import nested_errors, parse_typed

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NORMS", "BatchNorm", "GroupNorm", "InstanceNorm", "LayerNorm", "LocalResponseNorm", "Norm", "NormField"]

Positive = Annotated[float, Field(gt=0)]


class Norm(Primitive):
    """A normalisation layer; all but local response norm have a weight and a bias per channel."""

    shifts: ClassVar[bool] = True
    """Whether it has a bias, so that a convolution directly before it needs none."""

    def parameters(self, shape: FeatureShape) -> int:
        return 2 * shape.channels if self.shifts else 0

    def memory(self, shape: FeatureShape) -> Memory:
        return Memory(output="overwritable")


NORMS: Registry[Norm] = Registry("norm", base=Norm)


@NORMS.register("batch")
@dataclass(frozen=True)
class BatchNorm(Norm):
    """Batch normalisation (Ioffe & Szegedy 2015, arXiv:1502.03167); ``momentum`` as in torch."""

    eps: Positive = 1e-5
    momentum: Annotated[float, Field(ge=0, le=1)] = 0.1

    def memory(self, shape: FeatureShape) -> Memory:
        """Running mean and variance of each channel, and ``num_batches_tracked``."""
        return Memory(buffer_bytes=2 * BYTES * shape.channels + 8, output="overwritable")

    def build(self, shape: FeatureShape) -> nn.Module:
        from torch import nn

        return nn.BatchNorm2d(shape.channels, eps=self.eps, momentum=self.momentum)


@NORMS.register("group")
@dataclass(frozen=True)
class GroupNorm(Norm):
    """Group normalisation (Wu & He 2018, arXiv:1803.08494).

    ``groups`` is an upper limit: the largest divisor of the channels up to it is used, so that one setting fits
    all layers of a network. Mean and variance are taken over the whole map, in inference too, so the receptive
    field becomes the whole image.
    """

    groups: Count = 32
    eps: Positive = 1e-5

    def output(self, shape: FeatureShape) -> FeatureShape:
        return shape.with_global_receptive_field()

    def build(self, shape: FeatureShape) -> nn.Module:
        from torch import nn

        groups = next(n for n in range(min(self.groups, shape.channels), 0, -1) if shape.channels % n == 0)
        return nn.GroupNorm(groups, shape.channels, eps=self.eps)


@NORMS.register("layer")
@dataclass(frozen=True)
class LayerNorm(Norm):
    """Layer normalisation over the channels of each position (Ba et al. 2016; Liu et al. 2022, ConvNeXt)."""

    eps: Positive = 1e-6

    def memory(self, shape: FeatureShape) -> Memory:
        """Mean and reciprocal standard deviation of each position."""
        statistics = 2 * BYTES * shape.height.size * shape.width.size
        return Memory(saved_bytes=statistics, scratch_bytes=statistics, output="overwritable")

    def build(self, shape: FeatureShape) -> nn.Module:
        from visionkit import layers

        return layers.LayerNorm2d(shape.channels, eps=self.eps)


@NORMS.register("instance")
@dataclass(frozen=True)
class InstanceNorm(Norm):
    """Instance normalisation (Ulyanov et al. 2016, arXiv:1607.08022), with weight and bias; global as group norm is."""

    eps: Positive = 1e-5

    def output(self, shape: FeatureShape) -> FeatureShape:
        return shape.with_global_receptive_field()

    def build(self, shape: FeatureShape) -> nn.Module:
        from torch import nn

        return nn.InstanceNorm2d(shape.channels, eps=self.eps, affine=True)


@block("local_response_norm")
@NORMS.register("local_response")
@dataclass(frozen=True)
class LocalResponseNorm(Norm):
    """Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3).

    As in torch, ``alpha`` is divided by ``size``: the paper's 1e-4 over 5 channels is 5e-4 here.
    """

    shifts: ClassVar[bool] = False
    size: Count = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def memory(self, shape: FeatureShape) -> Memory:
        """The padded squares, their scaled mean, and its power."""
        padded = shape.nbytes * (shape.channels + self.size - 1) // shape.channels
        return Memory(
            saved_bytes=padded + 2 * shape.nbytes,
            scratch_bytes=2 * shape.nbytes,
            backward_scratch_bytes=3 * shape.nbytes,
            output="overwritable",
        )

    def build(self, shape: FeatureShape) -> nn.Module:
        from torch import nn

        return nn.LocalResponseNorm(self.size, alpha=self.alpha, beta=self.beta, k=self.k)


def _parse_norm(value: Any) -> Norm | None:
    if value is None or value == "none":
        return None
    if isinstance(value, Norm):
        return value
    with nested_errors():
        return parse_typed(NORMS, value, where="")


NormField = Annotated[Norm | None, PlainValidator(_parse_norm)]
"""A name such as ``batch``, ``none``, or a mapping such as ``{type: batch, eps: 0.001}``."""


@block("norm_act")
@dataclass(frozen=True, kw_only=True)
class NormAct(Composite):
    """A norm and an activation without a convolution, as at the end of DenseNet."""

    norm: NormField = None
    activation: ActivationField = None

    def parts(self, in_channels: int) -> Node:
        return Sequential(
            {name: part for name, part in (("norm", self.norm), ("act", self.activation)) if part is not None}
        )

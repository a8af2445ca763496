"""The ConvNeXt block (Liu et al. 2022, arXiv:2201.03545)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from visionkit.blocks.activation import ActivationField
from visionkit.blocks.convolution import Conv
from visionkit.blocks.initialization import Init, InitField
from visionkit.blocks.normalization import NormField
from visionkit.blocks.pooling import Identity
from visionkit.blocks.registry import CellSize, Count, block
from visionkit.blocks.shapes import FeatureShape
from visionkit.blocks.tree import Composite, Memory, Node, Primitive, Residual, Sequential

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ConvNext", "LayerScale", "Pointwise"]


@dataclass(frozen=True, kw_only=True)
class Pointwise(Primitive):
    """A fully connected layer over the channels of each position: a 1x1 convolution, its weight a matrix."""

    out_channels: int
    init: Init = Init()

    def memory(self, shape: FeatureShape) -> Memory:
        return Memory(output="overwritable")

    def output(self, shape: FeatureShape) -> FeatureShape:
        return replace(shape, channels=self.out_channels)

    def parameters(self, shape: FeatureShape) -> int:
        return (shape.channels + 1) * self.out_channels

    def weights_per_neuron(self, shape: FeatureShape) -> int:
        return shape.channels + 1

    def weights_formula(self, shape: FeatureShape) -> str:
        return f"1 + {shape.channels} = {shape.channels + 1}"

    def macs(self, shape: FeatureShape) -> int:
        channels, height, width = shape.chw
        return channels * self.out_channels * height * width

    def build(self, shape: FeatureShape) -> nn.Module:
        from visionkit import layers

        layer = layers.Pointwise(shape.channels, self.out_channels)
        self.init.apply(layer)
        return layer


@block("layer_scale")
@dataclass(frozen=True, kw_only=True)
class LayerScale(Primitive):
    """A learned factor for each channel, small at first (Touvron et al. 2021, arXiv:2103.17239, section 2.1)."""

    init_value: Annotated[float, Field(gt=0, le=1)] = 1e-6

    def memory(self, shape: FeatureShape) -> Memory:
        return Memory(output="overwritable")

    def parameters(self, shape: FeatureShape) -> int:
        return shape.channels

    def build(self, shape: FeatureShape) -> nn.Module:
        from visionkit import layers

        return layers.LayerScale(shape.channels, self.init_value)


@block("convnext")
@dataclass(frozen=True, kw_only=True)
class ConvNext(Composite):
    """A depthwise convolution, a norm, two layers over the channels with an activation between, and a shortcut.

    Section 2 and figure 4; ``layer_scale`` is the initial factor of each channel of the body, 0 omits it.
    """

    kernel_size: CellSize = 7
    expansion: Count = 4
    layer_scale: Annotated[float, Field(ge=0, le=1)] = 1e-6
    norm: NormField = None
    activation: ActivationField = None
    init: InitField = Init()

    def parts(self, in_channels: int) -> Node:
        depthwise = Conv(
            out_channels=in_channels,
            kernel_size=self.kernel_size,
            padding="same",
            groups=in_channels,
            bias=True,
            norm=self.norm,
            init=self.init,
        )
        body: dict[str, Node] = {
            "depthwise": depthwise,
            "expand": Pointwise(out_channels=self.expansion * in_channels, init=self.init),
        }
        if self.activation is not None:
            body["act"] = self.activation
        body["project"] = Pointwise(out_channels=in_channels, init=self.init)
        if self.layer_scale:
            body["scale"] = LayerScale(init_value=self.layer_scale)
        return Sequential({"residual": Residual(Sequential(body), Identity())})

"""Transposed convolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from visionkit.blocks.initialization import Init
from visionkit.blocks.shapes import Axis, FeatureShape
from visionkit.blocks.tree import Memory, Primitive

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ConvTranspose2d"]


@dataclass(frozen=True, kw_only=True)
class ConvTranspose2d(Primitive):
    """Every cell becomes a square of ``factor`` by ``factor`` cells, side by side.

    Dumoulin & Visin 2016 (arXiv:1603.07285), section 4, with a kernel as wide as the stride.
    """

    out_channels: int
    factor: int
    bias: bool = True
    init: Init = Init()

    def output(self, shape: FeatureShape) -> FeatureShape:
        height, width = (self._upsampled(axis) for axis in (shape.height, shape.width))
        return FeatureShape(self.out_channels, height, width)

    def memory(self, shape: FeatureShape) -> Memory:
        return Memory(output="overwritable")

    def parameters(self, shape: FeatureShape) -> int:
        return (shape.channels * self.factor**2 + self.bias) * self.out_channels

    def weights_per_neuron(self, shape: FeatureShape) -> int:
        return shape.channels + self.bias

    def weights_formula(self, shape: FeatureShape) -> str:
        return f"1 + {shape.channels} = {shape.channels + 1}" if self.bias else f"{shape.channels}"

    def macs(self, shape: FeatureShape) -> int:
        channels, rows, columns = self.output(shape).chw
        return shape.channels * channels * rows * columns

    def build(self, shape: FeatureShape) -> nn.Module:
        from torch import nn

        layer = nn.ConvTranspose2d(shape.channels, self.out_channels, self.factor, stride=self.factor, bias=self.bias)
        self.init.apply(layer)
        return layer

    def _upsampled(self, axis: Axis) -> Axis:
        """The axis of the output; jump and offset are None where the jump would be no integer."""
        if axis.jump is None or axis.offset is None or axis.jump % self.factor:
            return Axis(self.factor * axis.size, None, axis.receptive_field, None)
        jump = axis.jump // self.factor
        return replace(axis, size=self.factor * axis.size, jump=jump, offset=axis.offset - jump * (self.factor - 1) / 2)

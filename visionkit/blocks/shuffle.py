"""The ShuffleNetV2 unit (Ma et al. 2018, arXiv:1807.11164) and the layers without weights it is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from visionkit.blocks.convolution import Conv, ConvBlock
from visionkit.blocks.registry import Count, block
from visionkit.blocks.shapes import DoesNotFitError, FeatureShape
from visionkit.blocks.tree import Concat, Memory, Node, Primitive, Sequential

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ChannelShuffle", "ChannelSlice", "ShuffleUnit"]


@dataclass(frozen=True, kw_only=True)
class ChannelSlice(Primitive):
    """The ``index``-th of ``parts`` equal parts of the channels, from 0."""

    index: int
    parts: int

    def memory(self, shape: FeatureShape) -> Memory:
        return Memory(saved="nothing", output="view")

    def output(self, shape: FeatureShape) -> FeatureShape:
        if shape.channels % self.parts:
            raise DoesNotFitError(f"{shape.channels} channels cannot be split into {self.parts} equal parts")
        return replace(shape, channels=shape.channels // self.parts)

    def build(self, shape: FeatureShape) -> nn.Module:
        from visionkit import layers

        return layers.ChannelSlice(self.index, self.parts)


@block("channel_shuffle")
@dataclass(frozen=True, kw_only=True)
class ChannelShuffle(Primitive):
    """Channels dealt out from ``groups`` groups in turn (Zhang et al. 2018, arXiv:1707.01083, section 3.1)."""

    groups: Count

    def memory(self, shape: FeatureShape) -> Memory:
        return Memory(saved="nothing", output="overwritable")

    def output(self, shape: FeatureShape) -> FeatureShape:
        if shape.channels % self.groups:
            raise DoesNotFitError(f"groups={self.groups} does not divide the {shape.channels} channels that come in")
        return shape

    def build(self, shape: FeatureShape) -> nn.Module:
        from torch import nn

        return nn.ChannelShuffle(self.groups)


@block("shuffle_unit")
@dataclass(frozen=True, kw_only=True)
class ShuffleUnit(ConvBlock):
    """One half of the channels passes, the other is convolved; then both are shuffled (section 4, figure 3 c, d).

    With a stride both branches see all channels, and the passing one has a convolution too.
    """

    out_channels: Count
    stride: Count = 1

    def parts(self, in_channels: int) -> Node:
        if self.out_channels % 2:
            raise DoesNotFitError(f"out_channels must be even, found {self.out_channels}")
        if self.stride == 1 and in_channels != self.out_channels:
            raise DoesNotFitError(
                f"a shuffle unit of stride 1 keeps its {in_channels} channels, but out_channels is {self.out_channels}"
            )
        width = self.out_channels // 2
        convolved: dict[str, Node] = {
            "conv1": self.conv(width, 1),
            "conv2": self._depthwise(width),
            "conv3": self.conv(width, 1),
        }
        if self.stride == 1:
            passed: dict[str, Node] = {"slice": ChannelSlice(index=0, parts=2)}
            convolved = {"slice": ChannelSlice(index=1, parts=2), **convolved}
        else:
            passed = {"conv1": self._depthwise(in_channels), "conv2": self.conv(width, 1)}
        branches = Concat({"passed": Sequential(passed), "convolved": Sequential(convolved)})
        return Sequential({"branches": branches, "shuffle": ChannelShuffle(groups=2)})

    def _depthwise(self, channels: int) -> Conv:
        return self.conv(channels, 3, stride=self.stride, groups=channels, activated=False)

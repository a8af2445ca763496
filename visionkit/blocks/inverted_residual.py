"""Inverted residual blocks: narrow input and output, wide middle (Sandler et al. 2018, arXiv:1801.04381)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from visionkit.blocks.convolution import ConvBlock
from visionkit.blocks.pooling import Identity
from visionkit.blocks.registry import CellSize, Count, block
from visionkit.blocks.squeeze_excitation import SqueezeExcitation
from visionkit.blocks.tree import Node, Residual, Sequential

__all__ = ["InvertedResidual"]


@block("inverted_residual")
@dataclass(frozen=True, kw_only=True)
class InvertedResidual(ConvBlock):
    """A 1x1 convolution that widens, a depthwise one, and a 1x1 that narrows without activation.

    The middle has ``expanded_channels``, or else ``expansion * in_channels``; where that equals ``in_channels``,
    the first convolution is omitted. ``se`` follows the depthwise convolution (MnasNet, MobileNetV3,
    EfficientNet). ``fused`` replaces the first two convolutions by one full convolution (EfficientNetV2,
    Tan & Le 2021, figure 2). There is a shortcut where input and output have the same shape.
    """

    out_channels: Count
    kernel_size: CellSize = 3
    stride: Count = 1
    expansion: Annotated[float, Field(ge=1, le=64)] = 6
    expanded_channels: Count | None = None
    se: SqueezeExcitation | None = None
    fused: bool = False
    residual: bool = True

    def parts(self, in_channels: int) -> Node:
        body = Sequential(self._fused(in_channels) if self.fused else self._separable(in_channels))
        if self.residual and self.stride == 1 and in_channels == self.out_channels:
            return Sequential({"residual": Residual(body, Identity())})
        return Sequential({"body": body})

    def _width(self, in_channels: int) -> int:
        return self.expanded_channels or round(in_channels * self.expansion)

    def _separable(self, in_channels: int) -> dict[str, Node]:
        width = self._width(in_channels)
        expand: dict[str, Node] = {} if width == in_channels else {"expand": self.conv(width, 1)}
        return {
            **expand,
            "depthwise": self.conv(width, self.kernel_size, stride=self.stride, groups=width),
            **self._se(in_channels),
            "project": self.conv(self.out_channels, 1, activated=False),
        }

    def _fused(self, in_channels: int) -> dict[str, Node]:
        width = self._width(in_channels)
        if width == in_channels:
            conv = self.conv(self.out_channels, self.kernel_size, stride=self.stride)
            return {"conv": conv, **self._se(in_channels)}
        return {
            "expand": self.conv(width, self.kernel_size, stride=self.stride),
            **self._se(in_channels),
            "project": self.conv(self.out_channels, 1, activated=False),
        }

    def _se(self, in_channels: int) -> dict[str, Node]:
        return {} if self.se is None else {"se": self.se.for_block(in_channels)}

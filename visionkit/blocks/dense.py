"""Densely connected blocks (Huang et al. 2017, arXiv:1608.06993)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from visionkit.blocks.convolution import Conv, ConvBlock
from visionkit.blocks.pooling import AvgPool, Dropout, Identity
from visionkit.blocks.registry import Count, Depth, Fraction, block
from visionkit.blocks.tree import Concat, Node, Sequential

__all__ = ["Dense", "Transition"]


@block("dense")
@dataclass(frozen=True, kw_only=True)
class Dense(ConvBlock):
    """``num_layers`` layers, each adding ``growth_rate`` channels to all that came before (section 3).

    The 1x1 convolution before each 3x3 has ``bottleneck_width * growth_rate`` channels (DenseNet-B); 0 omits it.
    """

    num_layers: Depth
    growth_rate: Count
    bottleneck_width: Annotated[int, Field(ge=0, le=1000)] = 4
    dropout: Fraction = 0.0

    def parts(self, in_channels: int) -> Node:
        return Sequential(
            {
                f"layer{i}": Concat({"old": Identity(), "new": self._new_features()})
                for i in range(1, self.num_layers + 1)
            }
        )

    def _new_features(self) -> Node:
        convs = {}
        if self.bottleneck_width:
            convs["conv1"] = self._conv(self.bottleneck_width * self.growth_rate, 1)
        convs[f"conv{len(convs) + 1}"] = self._conv(self.growth_rate, 3)
        return Sequential({**convs, **({"dropout": Dropout(p=self.dropout)} if self.dropout else {})})

    def _conv(self, out_channels: int, kernel_size: int) -> Conv:
        return replace(self.conv(out_channels, kernel_size), bias=False, order="norm_act_conv")


@block("transition")
@dataclass(frozen=True, kw_only=True)
class Transition(ConvBlock):
    """A 1x1 convolution to ``compression`` times the channels, and 2x2 mean pooling (section 3)."""

    compression: Annotated[float, Field(gt=0, le=1)] = 0.5

    def parts(self, in_channels: int) -> Node:
        conv = self.conv(max(1, int(in_channels * self.compression)), 1)
        conv = replace(conv, bias=False, order="norm_act_conv")
        return Sequential({"conv": conv, "pool": AvgPool(kernel_size=2, stride=2)})

"""Residual blocks (He et al. 2016, arXiv:1512.03385), and the same without shortcut (plain networks)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

from visionkit.blocks.convolution import ConvBlock
from visionkit.blocks.pooling import Identity, ZeroPadShortcut
from visionkit.blocks.registry import Count, block
from visionkit.blocks.shapes import DoesNotFitError
from visionkit.blocks.squeeze_excitation import SqueezeExcitation
from visionkit.blocks.tree import Node, Residual, Sequential

__all__ = ["Basic", "Bottleneck", "XBlock"]

Shortcut = Literal["projection", "zero_pad"]


@dataclass(frozen=True, kw_only=True)
class _ResidualBlock(ConvBlock):
    """``activation(body(x) + shortcut(x))``, or ``activation(body(x))`` where ``residual`` is false.

    Where the shape changes, ``shortcut`` is a 1x1 convolution (``projection``, option B of the
    paper) or has no weights (``zero_pad``, option A); elsewhere it is the identity. With ``se`` the
    body has squeeze-and-excitation, at its end in most blocks (Hu et al. 2018, figure 3).
    """

    out_channels: Count
    stride: Count = 1
    residual: bool = True
    shortcut: Shortcut = "projection"
    se: SqueezeExcitation | None = None

    @abstractmethod
    def body(self, in_channels: int) -> dict[str, Node]:
        """The layers of the body; its last activation follows the sum."""

    def parts(self, in_channels: int) -> Node:
        act = {} if self.activation is None else {"act": self.activation}
        body: Node = Sequential(self.body(in_channels))
        if not self.residual:
            return Sequential({"body": body, **act})
        return Sequential({"residual": Residual(body, self._shortcut(in_channels)), **act})

    def _shortcut(self, in_channels: int) -> Node:
        if self.stride == 1 and in_channels == self.out_channels:
            return Identity()
        if self.shortcut == "zero_pad":
            return ZeroPadShortcut(out_channels=self.out_channels, stride=self.stride)
        return self.conv(self.out_channels, 1, stride=self.stride, activated=False)

    def _se(self, in_channels: int) -> dict[str, Node]:
        return {} if self.se is None else {"se": self.se.for_block(in_channels)}


@block("basic")
@dataclass(frozen=True, kw_only=True)
class Basic(_ResidualBlock):
    """Two 3x3 convolutions and a shortcut (He et al. 2016, figure 5 left)."""

    def body(self, in_channels: int) -> dict[str, Node]:
        return {
            "conv1": self.conv(self.out_channels, 3, stride=self.stride),
            "conv2": self.conv(self.out_channels, 3, activated=False),
            **self._se(in_channels),
        }


@block("bottleneck")
@dataclass(frozen=True, kw_only=True)
class Bottleneck(_ResidualBlock):
    """1x1, 3x3 and 1x1 convolutions and a shortcut (He et al. 2016, figure 5 right).

    The stride is on the 3x3, as in torchvision (ResNet v1.5), not on the first 1x1 as in the paper. The inner
    width is ``out_channels / expansion * base_width / 64`` per group: ``groups=32, base_width=4`` is ResNeXt-50
    32x4d (Xie et al. 2017), ``base_width=128`` is Wide ResNet-50-2 (Zagoruyko & Komodakis 2016).
    """

    groups: Count = 1
    base_width: Count = 64
    expansion: Count = 4

    def body(self, in_channels: int) -> dict[str, Node]:
        width = max(1, int(self.out_channels // self.expansion * self.base_width / 64)) * self.groups
        return {
            "conv1": self.conv(width, 1),
            "conv2": self.conv(width, 3, stride=self.stride, groups=self.groups),
            "conv3": self.conv(self.out_channels, 1, activated=False),
            **self._se(in_channels),
        }


@block("x_block")
@dataclass(frozen=True, kw_only=True)
class XBlock(_ResidualBlock):
    """1x1, grouped 3x3 and 1x1 convolutions of one width and a shortcut (Radosavovic et al. 2020, figure 4).

    ``group_width`` channels make a group, at most all. ``se`` follows the 3x3: the Y block (section 4).
    """

    group_width: Count

    def body(self, in_channels: int) -> dict[str, Node]:
        group_width = min(self.group_width, self.out_channels)
        if self.out_channels % group_width:
            raise DoesNotFitError(f"group_width {group_width} does not divide out_channels {self.out_channels}")
        groups = self.out_channels // group_width
        return {
            "conv1": self.conv(self.out_channels, 1),
            "conv2": self.conv(self.out_channels, 3, stride=self.stride, groups=groups),
            **self._se(in_channels),
            "conv3": self.conv(self.out_channels, 1, activated=False),
        }

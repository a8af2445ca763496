"""Residual blocks (He et al. 2016, arXiv:1512.03385) and their plain twins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from visionkit.blocks.activation import Activation, ActivationField
from visionkit.blocks.base import Count, block
from visionkit.blocks.convolution import Conv
from visionkit.blocks.initialization import Init, InitField
from visionkit.blocks.normalization import Norm, NormField
from visionkit.blocks.pooling import Identity, ZeroPadShortcut
from visionkit.blocks.tree import Composite, Node, Residual, Sequence

__all__ = ["Basic", "Bottleneck"]

Shortcut = Literal["projection", "zero_pad"]


@dataclass(frozen=True, kw_only=True)
class _ResidualBlock(Composite):
    """``activation(body(x) + shortcut(x))``, or ``activation(body(x))`` where ``residual`` is false.

    Where the shape changes, ``shortcut`` is a 1x1 convolution (``projection``, option B of the
    paper) or has no weights (``zero_pad``, option A); elsewhere it is the identity.
    """

    out_channels: Count
    stride: Count = 1
    norm: NormField = None
    activation: ActivationField = None
    init: InitField = Init()
    residual: bool = True
    shortcut: Shortcut = "projection"

    def body(self, in_channels: int) -> Node:
        """The path with the weights, its last activation left out."""
        raise NotImplementedError

    def parts(self, in_channels: int) -> Node:
        act = {} if self.activation is None else {"act": self.activation}
        body = self.body(in_channels)
        if not self.residual:
            return Sequence({"body": body, **act})
        return Sequence({"residual": Residual(body, self._shortcut(in_channels)), **act})

    def _shortcut(self, in_channels: int) -> Node:
        if self.stride == 1 and in_channels == self.out_channels:
            return Identity()
        if self.shortcut == "zero_pad":
            return ZeroPadShortcut(out_channels=self.out_channels, stride=self.stride)
        return self._conv(self.out_channels, 1, stride=self.stride, activation=None)

    def _conv(
        self, out_channels: int, kernel_size: int, *, activation: Activation | None, stride: int = 1, groups: int = 1
    ) -> Conv:
        norm: Norm | None = self.norm
        return Conv(
            out_channels=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding="same",
            groups=groups,
            norm=norm,
            activation=activation,
            init=self.init,
        )


@block("basic")
@dataclass(frozen=True, kw_only=True)
class Basic(_ResidualBlock):
    """Two 3x3 convolutions and a shortcut (He et al. 2016, figure 5 left)."""

    def body(self, in_channels: int) -> Node:
        return Sequence(
            {
                "conv1": self._conv(self.out_channels, 3, stride=self.stride, activation=self.activation),
                "conv2": self._conv(self.out_channels, 3, activation=None),
            }
        )


@block("bottleneck")
@dataclass(frozen=True, kw_only=True)
class Bottleneck(_ResidualBlock):
    """1x1, 3x3 and 1x1 convolutions and a shortcut (He et al. 2016, figure 5 right).

    The stride lies on the 3x3, as in every published set of weights, not on the first 1x1 as in
    the paper. The inner width is ``out_channels / expansion * base_width / 64`` per group:
    ``groups=32, base_width=4`` is ResNeXt-50 32x4d (Xie et al. 2017), ``base_width=128`` is
    Wide ResNet-50-2 (Zagoruyko & Komodakis 2016).
    """

    groups: Count = 1
    base_width: Count = 64
    expansion: Count = 4

    def body(self, in_channels: int) -> Node:
        width = max(1, int(self.out_channels // self.expansion * self.base_width / 64)) * self.groups
        return Sequence(
            {
                "conv1": self._conv(width, 1, activation=self.activation),
                "conv2": self._conv(width, 3, stride=self.stride, groups=self.groups, activation=self.activation),
                "conv3": self._conv(self.out_channels, 1, activation=None),
            }
        )

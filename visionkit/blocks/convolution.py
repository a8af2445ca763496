"""Convolution and fully connected layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from visionkit.blocks.activation import ActivationField
from visionkit.blocks.initialization import Init, InitField
from visionkit.blocks.normalization import NormField
from visionkit.blocks.registry import CellSize, Count, Padding, block
from visionkit.blocks.shapes import BYTES, Axis, DoesNotFitError, FeatureShape, Window, pair
from visionkit.blocks.tree import Composite, Memory, Node, Primitive, Sequential

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Conv", "Conv2d", "ConvBlock", "Flatten", "Linear"]

ConvPadding = Padding | tuple[Padding, Padding] | Literal["same", "valid"]


@dataclass(frozen=True, kw_only=True)
class Conv2d(Primitive):
    """A convolution without norm or activation (LeCun et al. 1998); `Conv` is the block of backbone files."""

    out_channels: int
    kernel_size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    bias: bool = True
    init: Init = Init()
    same_padding: bool = False
    """Padding keeps the size at stride 1, with one cell more at the end where the total is odd (torch's ``"same"``)."""

    @property
    def stride_factor(self) -> int:
        return max(self.stride)

    def dilate(self, dilation: int, *, keep_stride: bool) -> Primitive:
        total_paddings = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
        changes_size = any(2 * padding != total for padding, total in zip(self.padding, total_paddings, strict=True))
        return replace(
            self,
            stride=self.stride if keep_stride else (1, 1),
            dilation=(self.dilation[0] * dilation, self.dilation[1] * dilation),
            padding=(self.padding[0] * dilation, self.padding[1] * dilation),
            same_padding=self.same_padding or (changes_size and not keep_stride),
        )

    def windows(self) -> tuple[Window, Window]:
        """The sliding windows over height and width."""
        if self.same_padding:
            total_paddings = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            height, width = (
                Window(kernel, 1, total // 2, dilation, padding_end=total - total // 2)
                for kernel, dilation, total in zip(self.kernel_size, self.dilation, total_paddings, strict=True)
            )
            return height, width
        height, width = (
            Window(*arguments)
            for arguments in zip(self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        )
        return height, width

    def output(self, shape: FeatureShape) -> FeatureShape:
        if shape.channels % self.groups or self.out_channels % self.groups:
            raise DoesNotFitError(
                f"groups={self.groups} does not divide the {shape.channels} channels that come in "
                f"and the {self.out_channels} that go out"
            )
        return shape.slide(self.windows(), channels=self.out_channels)

    def parameters(self, shape: FeatureShape) -> int:
        height, width = self.kernel_size
        weights = height * width * (shape.channels // self.groups) * self.out_channels
        return weights + (self.out_channels if self.bias else 0)

    def weights_per_neuron(self, shape: FeatureShape) -> int:
        height, width = self.kernel_size
        return height * width * (shape.channels // self.groups) + self.bias

    def weights_formula(self, shape: FeatureShape) -> str:
        height, width = self.kernel_size
        channels = f"{shape.channels}" if self.groups == 1 else f"{shape.channels}/{self.groups}"
        return f"{'1 + ' if self.bias else ''}{height}*{width}*{channels} = {self.weights_per_neuron(shape)}"

    def memory(self, shape: FeatureShape) -> Memory:
        """With ``same_padding``, a padded copy of the input is made, and saved instead of it."""
        if not self.same_padding:
            return Memory(output="overwritable")
        height, width = (size + window.extent - 1 for size, window in zip(shape.chw[1:], self.windows(), strict=True))
        padded = BYTES * shape.channels * height * width
        return Memory(
            saved="nothing",
            saved_bytes=padded,
            scratch_bytes=padded,
            backward_scratch_bytes=padded,
            output="overwritable",
        )

    def macs(self, shape: FeatureShape) -> int:
        height, width = self.kernel_size
        channels, rows, columns = self.output(shape).chw
        return height * width * (shape.channels // self.groups) * channels * rows * columns

    def build(self, shape: FeatureShape) -> nn.Module:
        from torch import nn

        from visionkit import layers

        layer = (layers.SameConv2d if self.same_padding else nn.Conv2d)(
            shape.channels,
            self.out_channels,
            self.kernel_size,
            stride=self.stride,
            padding=0 if self.same_padding else self.padding,
            dilation=self.dilation,
            groups=self.groups,
            bias=self.bias,
        )
        self.init.apply(layer)
        return layer


@block("conv")
@dataclass(frozen=True, kw_only=True)
class Conv(Composite):
    """A convolution with its norm and activation, in any of the usual orders.

    ``padding`` is a number, ``valid`` (none) or ``same`` (the output is the input's size divided
    by the stride). By default there is no ``bias`` where a norm with a bias follows directly.
    """

    out_channels: Count
    kernel_size: CellSize
    stride: CellSize = 1
    padding: ConvPadding = 0
    dilation: CellSize = 1
    groups: Count = 1
    bias: bool | None = None
    norm: NormField = None
    activation: ActivationField = None
    init: InitField = Init()
    order: Literal["conv_norm_act", "conv_act_norm", "norm_act_conv", "act_conv_norm", "act_norm_conv"] = (
        "conv_norm_act"
    )

    def parts(self, in_channels: int) -> Node:
        norm_follows = self.order in ("conv_norm_act", "act_conv_norm")
        needs_bias = not (norm_follows and self.norm is not None and self.norm.shifts)
        conv = Conv2d(
            out_channels=self.out_channels,
            kernel_size=pair(self.kernel_size),
            stride=pair(self.stride),
            padding=self._padding(),
            dilation=pair(self.dilation),
            groups=self.groups,
            bias=needs_bias if self.bias is None else self.bias,
            init=self.init,
        )
        parts = {"conv": conv, "norm": self.norm, "act": self.activation}
        children = {name: parts[name] for name in self.order.split("_")}
        return Sequential({name: part for name, part in children.items() if part is not None})

    def _padding(self) -> tuple[int, int]:
        if self.padding == "valid":
            return 0, 0
        if self.padding != "same":
            return pair(self.padding)
        height, width = (d * (k - 1) for d, k in zip(pair(self.dilation), pair(self.kernel_size), strict=True))
        if height % 2 or width % 2:
            raise DoesNotFitError(
                f"padding 'same' needs an odd kernel, found kernel_size {self.kernel_size}; choose an odd one "
                "(a bare conv takes padding as a number, too)"
            )
        return height // 2, width // 2


@dataclass(frozen=True, kw_only=True)
class ConvBlock(Composite):
    """Base of blocks with several convolutions that share one norm, activation and init."""

    norm: NormField = None
    activation: ActivationField = None
    init: InitField = Init()

    def conv(
        self,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        *,
        stride: int = 1,
        groups: int = 1,
        activated: bool = True,
    ) -> Conv:
        """A ``same``-padded convolution followed by the norm and, if ``activated``, the activation."""
        return Conv(
            out_channels=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding="same",
            groups=groups,
            norm=self.norm,
            activation=self.activation if activated else None,
            init=self.init,
        )


@dataclass(frozen=True)
class Flatten(Primitive):
    """Channels, rows and columns flattened into one vector."""

    def memory(self, shape: FeatureShape) -> Memory:
        return Memory(saved="nothing", output="view")

    def output(self, shape: FeatureShape) -> FeatureShape:
        channels, height, width = shape.chw
        return FeatureShape(channels * height * width, Axis(1, None, None, None), Axis(1, None, None, None))

    def build(self, shape: FeatureShape) -> nn.Module:
        from torch import nn

        return nn.Flatten()


@dataclass(frozen=True, kw_only=True)
class Linear(Primitive):
    """A fully connected layer on the output of `Flatten`."""

    out_features: int
    bias: bool = True
    init: Init = Init()

    def memory(self, shape: FeatureShape) -> Memory:
        return Memory(output="overwritable")

    def output(self, shape: FeatureShape) -> FeatureShape:
        return replace(shape, channels=self.out_features)

    def parameters(self, shape: FeatureShape) -> int:
        return (shape.channels + self.bias) * self.out_features

    def weights_per_neuron(self, shape: FeatureShape) -> int:
        return shape.channels + self.bias

    def weights_formula(self, shape: FeatureShape) -> str:
        return f"1 + {shape.channels} = {shape.channels + 1}" if self.bias else f"{shape.channels}"

    def macs(self, shape: FeatureShape) -> int:
        return shape.channels * self.out_features

    def build(self, shape: FeatureShape) -> nn.Module:
        from torch import nn

        layer = nn.Linear(shape.channels, self.out_features, bias=self.bias)
        self.init.apply(layer)
        return layer

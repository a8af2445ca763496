"""Pooling, dropout and other layers without weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from visionkit.blocks.registry import CellSize, Fraction, Padding, block
from visionkit.blocks.shapes import BYTES, DoesNotFitError, FeatureShape, Window, pair
from visionkit.blocks.tree import Memory, Primitive

if TYPE_CHECKING:
    from torch import nn

__all__ = ["AdaptivePool", "AvgPool", "Dropout", "Identity", "MaxPool", "ZeroPadShortcut"]

_INDEX_BYTES = 8


@dataclass(frozen=True)
class Identity(Primitive):
    """Returns its input."""

    def memory(self, shape: FeatureShape) -> Memory:
        return Memory(saved="nothing", output="view")

    def build(self, shape: FeatureShape) -> nn.Module:
        from torch import nn

        return nn.Identity()


@dataclass(frozen=True, kw_only=True)
class _Pool(Primitive):
    """A sliding window; ``stride`` defaults to the kernel size, as in torch."""

    kernel_size: CellSize
    stride: CellSize | None = None
    padding: Padding = 0
    ceil_mode: bool = False

    @property
    def strides(self) -> tuple[int, int]:
        return pair(self.kernel_size if self.stride is None else self.stride)

    @property
    def stride_factor(self) -> int:
        return max(self.strides)

    def dilate(self, dilation: int, *, keep_stride: bool) -> Primitive:
        return self if keep_stride else Identity()

    def windows(self) -> tuple[Window, Window]:
        """The sliding windows over height and width."""
        height, width = (
            Window(kernel, stride, self.padding, 1, self.ceil_mode)
            for kernel, stride in zip(pair(self.kernel_size), self.strides, strict=True)
        )
        return height, width

    def output(self, shape: FeatureShape) -> FeatureShape:
        if 2 * self.padding > min(pair(self.kernel_size)):
            raise DoesNotFitError(
                f"padding {self.padding} is more than half of the pooling kernel {self.kernel_size}, "
                "so some windows would lie in the padding alone"
            )
        return shape.slide(self.windows())


@block("max_pool")
@dataclass(frozen=True, kw_only=True)
class MaxPool(_Pool):
    """The largest number under each window."""

    def memory(self, shape: FeatureShape) -> Memory:
        return _with_indices(self.output(shape))

    def build(self, shape: FeatureShape) -> nn.Module:
        from torch import nn

        return nn.MaxPool2d(self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode)


@block("avg_pool")
@dataclass(frozen=True, kw_only=True)
class AvgPool(_Pool):
    """The mean under each window, padding counted as zeros as in torch."""

    def memory(self, shape: FeatureShape) -> Memory:
        return Memory(output="overwritable")

    def build(self, shape: FeatureShape) -> nn.Module:
        from torch import nn

        return nn.AvgPool2d(self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode)


@block("adaptive_pool")
@dataclass(frozen=True, kw_only=True)
class AdaptivePool(Primitive):
    """Mean or maximum over as many windows as the output has cells; ``size: 1`` is global pooling.

    Its stride depends on the image size, so it is for gates and classifiers, not for the end of a stage.
    """

    size: CellSize
    kind: Literal["avg", "max"] = "avg"

    def output(self, shape: FeatureShape) -> FeatureShape:
        height, width = pair(self.size)
        return FeatureShape(shape.channels, shape.height.adapt(height), shape.width.adapt(width))

    def memory(self, shape: FeatureShape) -> Memory:
        if self.kind == "max":
            return _with_indices(self.output(shape))
        return Memory(saved="nothing" if pair(self.size) == (1, 1) else "input", output="overwritable")

    def build(self, shape: FeatureShape) -> nn.Module:
        from torch import nn

        return nn.AdaptiveAvgPool2d(self.size) if self.kind == "avg" else nn.AdaptiveMaxPool2d(self.size)


@block("dropout")
@dataclass(frozen=True, kw_only=True)
class Dropout(Primitive):
    """Numbers (``channels: true``: whole maps) set to zero at random in training (Srivastava et al. 2014)."""

    p: Fraction = 0.5
    channels: bool = False

    def memory(self, shape: FeatureShape) -> Memory:
        """The factor of each number, or of each channel."""
        factors = BYTES * shape.channels if self.channels else shape.nbytes
        return Memory(saved="nothing", saved_bytes=factors if self.p else 0)

    def build(self, shape: FeatureShape) -> nn.Module:
        from torch import nn

        return nn.Dropout2d(self.p) if self.channels else nn.Dropout(self.p)


@dataclass(frozen=True, kw_only=True)
class ZeroPadShortcut(Primitive):
    """A shortcut without weights: every ``stride``-th cell, new channels zero (He et al. 2016, option A)."""

    out_channels: int
    stride: int

    @property
    def stride_factor(self) -> int:
        return self.stride

    def dilate(self, dilation: int, *, keep_stride: bool) -> Primitive:
        return self if keep_stride else replace(self, stride=1)

    def memory(self, shape: FeatureShape) -> Memory:
        return Memory(saved="nothing", output="overwritable")

    def output(self, shape: FeatureShape) -> FeatureShape:
        if self.out_channels < shape.channels:
            raise DoesNotFitError(
                f"a zero-padded shortcut cannot go from {shape.channels} channels down to {self.out_channels}; "
                "use shortcut: projection"
            )
        window = Window(1, self.stride)
        return shape.slide((window, window), channels=self.out_channels)

    def build(self, shape: FeatureShape) -> nn.Module:
        from visionkit import layers

        return layers.ZeroPadShortcut(self.out_channels - shape.channels, self.stride)


def _with_indices(output: FeatureShape) -> Memory:
    """The int64 index of each maximum, which torch computes even where backward does not need it."""
    indices = _INDEX_BYTES * output.numel
    return Memory(saved_bytes=indices, scratch_bytes=indices, output="overwritable")

"""Squeeze-and-excitation (Hu et al. 2018, arXiv:1709.01507): a gate per channel from the global mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from visionkit.blocks.activation import Activation, ActivationField
from visionkit.blocks.convolution import Conv
from visionkit.blocks.initialization import Init, InitField
from visionkit.blocks.pooling import AdaptivePool
from visionkit.blocks.registry import Count, block
from visionkit.blocks.tree import Composite, Gate, Node, Sequential
from visionkit.schema import STRICT

__all__ = ["SqueezeExcitation", "round_channels"]


def round_channels(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of ``divisor`` of at least 0.9 times ``channels`` (as in MobileNetV2's published code)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


@block("squeeze_excitation")
@dataclass(frozen=True, kw_only=True)
class SqueezeExcitation(Composite):
    """Global mean, two fully connected layers, and a gate on every channel (section 3).

    The inner layer has ``squeeze_channels``, or else ``ratio`` times the input channels, rounded to a multiple of
    ``divisor``. Within another block, ``ratio_of: block`` takes the input channels of that block (EfficientNet,
    RegNet), ``ratio_of: layer`` those of this layer (SE-ResNet, MobileNetV3). In a backbone file, ``activation``
    and ``init`` default to those of the enclosing block.
    """

    __pydantic_config__ = STRICT

    ratio: Annotated[float, Field(gt=0, le=16)] = 0.25
    ratio_of: Literal["layer", "block"] = "layer"
    divisor: Count = 1
    squeeze_channels: Count | None = None
    activation: ActivationField = Activation("relu")
    gate: ActivationField = Activation("sigmoid")
    init: InitField = Init()

    def for_block(self, in_channels: int) -> SqueezeExcitation:
        """This layer within a block of ``in_channels`` input channels."""
        if self.ratio_of == "layer" or self.squeeze_channels is not None:
            return self
        return replace(self, squeeze_channels=self._squeeze_channels(in_channels))

    def parts(self, in_channels: int) -> Node:
        squeeze_channels = self.squeeze_channels or self._squeeze_channels(in_channels)
        return Gate(
            Sequential({
                "pool": AdaptivePool(size=1),
                "fc1": Conv(out_channels=squeeze_channels, kernel_size=1, activation=self.activation, init=self.init),
                "fc2": Conv(out_channels=in_channels, kernel_size=1, activation=self.gate, init=self.init),
            })
        )  # fmt: skip

    def _squeeze_channels(self, channels: int) -> int:
        if self.divisor == 1:
            return max(1, round(channels * self.ratio))
        return round_channels(channels * self.ratio, self.divisor)

"""Squeeze-and-excitation (Hu et al. 2018, arXiv:1709.01507): channels weighed by what the whole map shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from visionkit.blocks.activation import Activation, ActivationField
from visionkit.blocks.base import Count, block
from visionkit.blocks.convolution import Conv
from visionkit.blocks.initialization import Init, InitField
from visionkit.blocks.pooling import AdaptivePool
from visionkit.blocks.tree import Composite, Gate, Node, Sequential
from visionkit.schema import STRICT

__all__ = ["SqueezeExcitation", "round_channels"]


def round_channels(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of ``divisor`` that is no more than a tenth below (as in MobileNetV2's published code)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


@block("squeeze_excitation")
@dataclass(frozen=True, kw_only=True)
class SqueezeExcitation(Composite):
    """Global mean, two fully connected layers, and a gate on every channel (section 3).

    The inner layer has ``squeeze_channels``, or else ``ratio`` of the channels that come in, rounded to
    a multiple of ``divisor``. Inside another block ``ratio_of: block`` counts from the channels that come
    into that block (EfficientNet, RegNet), ``ratio_of: layer`` from those at this place (SE-ResNet, MobileNetV3).
    Written in a file, ``activation`` and ``init`` are those of the block around it unless given.
    """

    __pydantic_config__ = STRICT

    ratio: Annotated[float, Field(gt=0, le=16)] = 0.25
    ratio_of: Literal["layer", "block"] = "layer"
    divisor: Count = 1
    squeeze_channels: Count | None = None
    activation: ActivationField = Activation("relu")
    gate: ActivationField = Activation("sigmoid")
    init: InitField = Init()

    def inside(self, in_channels: int) -> SqueezeExcitation:
        """This layer as part of a block that ``in_channels`` come into."""
        if self.ratio_of == "layer" or self.squeeze_channels is not None:
            return self
        return replace(self, squeeze_channels=self._squeezed(in_channels))

    def parts(self, in_channels: int) -> Node:
        inner = self.squeeze_channels or self._squeezed(in_channels)
        return Gate(
            Sequential({
                "pool": AdaptivePool(size=1),
                "fc1": Conv(out_channels=inner, kernel_size=1, activation=self.activation, init=self.init),
                "fc2": Conv(out_channels=in_channels, kernel_size=1, activation=self.gate, init=self.init),
            })
        )  # fmt: skip

    def _squeezed(self, channels: int) -> int:
        if self.divisor == 1:
            return max(1, round(channels * self.ratio))
        return round_channels(channels * self.ratio, self.divisor)

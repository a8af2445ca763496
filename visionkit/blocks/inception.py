"""Blocks of parallel branches: inception (Szegedy et al. 2015, arXiv:1409.4842) and fire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainValidator

from visionkit.blocks.activation import ActivationField
from visionkit.blocks.base import Count, block, parse_block
from visionkit.blocks.convolution import Conv
from visionkit.blocks.initialization import Init, InitField
from visionkit.blocks.normalization import NormField
from visionkit.blocks.tree import Block, Composite, Concat, Node, Sequence
from visionkit.errors import UserError
from visionkit.schema import describe

__all__ = ["Fire", "Inception"]


def _read_branches(values: Any) -> dict[str, dict[str, Block]]:
    if not isinstance(values, Mapping) or not values:
        raise ValueError(f"expected a mapping of branch names to layers, found {describe(values)}.")
    branches: dict[str, dict[str, Block]] = {}
    for name, layers in values.items():
        if not isinstance(layers, Mapping) or not layers:
            raise ValueError(f"{name}: expected a mapping of layer names to blocks, found {describe(layers)}.")
        try:
            branches[name] = {
                layer: block if isinstance(block, Block) else parse_block(block, where=f"{name}.{layer}", defaults={})
                for layer, block in layers.items()
            }
        except UserError as error:
            raise ValueError(str(error)) from None
    return branches


@block("inception")
@dataclass(frozen=True, kw_only=True)
class Inception(Composite):
    """Branches side by side, their outputs stacked along the channels.

    A branch is a mapping of layer names to blocks, as a stage is, and a block may be an ``inception`` again::

        mixed:
          type: inception
          branches:
            narrow: {conv: {type: conv, out_channels: 64, kernel_size: 1}}
            pooled: {pool: {type: max_pool, kernel_size: 3, stride: 1, padding: 1},
                     conv: {type: conv, out_channels: 32, kernel_size: 1}}
    """

    branches: Annotated[dict[str, dict[str, Block]], PlainValidator(_read_branches)]

    def parts(self, in_channels: int) -> Node:
        return Concat({name: Sequence(layers) for name, layers in self.branches.items()})


@block("fire")
@dataclass(frozen=True, kw_only=True)
class Fire(Composite):
    """A 1x1 convolution that squeezes, then a 1x1 and a 3x3 side by side (Iandola et al. 2016, arXiv:1602.07360)."""

    squeeze_channels: Count
    expand1x1_channels: Count
    expand3x3_channels: Count
    norm: NormField = None
    activation: ActivationField = None
    init: InitField = Init()

    def parts(self, in_channels: int) -> Node:
        return Sequence({
            "squeeze": self._conv(self.squeeze_channels, 1),
            "expand": Concat({
                "expand1x1": self._conv(self.expand1x1_channels, 1),
                "expand3x3": self._conv(self.expand3x3_channels, 3),
            }),
        })  # fmt: skip

    def _conv(self, out_channels: int, kernel_size: int) -> Conv:
        return Conv(
            out_channels=out_channels,
            kernel_size=kernel_size,
            padding="same",
            norm=self.norm,
            activation=self.activation,
            init=self.init,
        )

"""Blocks of parallel branches: inception (Szegedy et al. 2015, arXiv:1409.4842) and fire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainValidator

from visionkit.blocks.convolution import ConvBlock
from visionkit.blocks.registry import Count, block, check_layers, parse_block
from visionkit.blocks.tree import Block, Composite, Concat, Node, Sequential
from visionkit.errors import UserError
from visionkit.names import check_name
from visionkit.schema import describe

__all__ = ["Fire", "Inception"]


def _parse_branches(values: Any) -> dict[str, dict[str, Block]]:
    if not isinstance(values, Mapping) or not values:
        raise ValueError(f"expected a mapping of branch names to layers, found {describe(values)}.")
    try:
        return {name: _parse_layers(name, layers) for name, layers in values.items()}
    except UserError as error:
        raise ValueError(f".{error}") from None


def _parse_layers(branch: str, layers: Any) -> dict[str, Block]:
    check_name(branch, where=str(branch))
    check_layers(layers, where=branch)
    return {
        name: values if isinstance(values, Block) else parse_block(values, where=f"{branch}.{name}", defaults={})
        for name, values in layers.items()
    }


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

    branches: Annotated[dict[str, dict[str, Block]], PlainValidator(_parse_branches)]

    def parts(self, in_channels: int) -> Node:
        return Concat({name: Sequential(layers) for name, layers in self.branches.items()})


@block("fire")
@dataclass(frozen=True, kw_only=True)
class Fire(ConvBlock):
    """A 1x1 convolution that squeezes, then a 1x1 and a 3x3 side by side (Iandola et al. 2016, arXiv:1602.07360)."""

    squeeze_channels: Count
    expand1x1_channels: Count
    expand3x3_channels: Count

    def parts(self, in_channels: int) -> Node:
        expand1x1, expand3x3 = self.conv(self.expand1x1_channels, 1), self.conv(self.expand3x3_channels, 3)
        return Sequential({
            "squeeze": self.conv(self.squeeze_channels, 1),
            "expand": Concat({"expand1x1": expand1x1, "expand3x3": expand3x3}),
        })  # fmt: skip

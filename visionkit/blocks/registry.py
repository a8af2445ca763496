"""The registry of blocks, the types of their fields, and parsing of a block's mapping."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_type_hints

from pydantic import Field

from visionkit.blocks.tree import Block, Composite, Node, Sequential
from visionkit.errors import UserError, did_you_mean
from visionkit.names import check_name
from visionkit.registry import Registry
from visionkit.schema import describe, parse_typed
from visionkit.sizes import Size

__all__ = ["BLOCKS", "CellSize", "Count", "Fraction", "Repeat", "block", "check_layers", "parse_block"]

BLOCKS: Registry[Block] = Registry("block")
LAYER_DEFAULT_KEYS = ("norm", "activation", "init")
"""The keys of ``layer_defaults``, which blocks inherit."""

block = BLOCKS.register
"""Decorator that registers a frozen dataclass under the ``type: NAME`` of a backbone file."""

Count = Annotated[int, Field(gt=0, le=1_000_000)]
Depth = Annotated[int, Field(gt=0, le=1000)]
CellSize = Annotated[int | tuple[int, int], Size(1000, example=3, unit="cells")]
Padding = Annotated[int, Field(ge=0, le=1000)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


@dataclasses.dataclass(frozen=True)
class Repeat(Composite):
    """A block several times in a row; only the first takes the stride (He et al. 2016, table 1)."""

    block: Block
    times: int

    def parts(self, in_channels: int) -> Node:
        rest = self.block
        if any(field.name == "stride" for field in dataclasses.fields(self.block)):  # type: ignore[arg-type]
            rest = dataclasses.replace(self.block, stride=1)  # type: ignore[type-var]
        return Sequential({str(i): rest if i else self.block for i in range(self.times)})


def check_layers(layers: Any, *, where: str) -> None:
    """Check that a stage or branch maps layer names to mappings that name a block each.

    Raises:
        UserError: If it is not.
    """
    example = "such as {conv: {type: conv, out_channels: 8, kernel_size: 3}}"
    if not isinstance(layers, Mapping) or not layers:
        raise UserError(f"{where}: expected a mapping of layer names to blocks, {example}; found {describe(layers)}.")
    if isinstance(layers.get("type"), str):
        raise UserError(f"{where}: expected a mapping of layer names to blocks, {example}; found one block.")
    for name, values in layers.items():
        check_name(name, where=where)
        if isinstance(values, Mapping) and "type" not in values:
            hint = did_you_mean(name, [candidate for candidate in layers if candidate != name])
            raise UserError(f"{where}.{name}: this layer has no type, so it is no block.{hint} Expected {example}.")


def parse_block(values: Any, *, where: str, defaults: Mapping[str, Any]) -> Block:
    """Parse a block from its mapping in a backbone file.

    Args:
        values: A mapping with ``type``, the block's own keys, and perhaps ``repeat``.
        where: Path that error messages begin with, such as ``"lenet: stages.c1.conv"``.
        defaults: ``layer_defaults``; each applies where the block has such a key and does not set it.

    Raises:
        UserError: If the mapping does not describe a block.
    """
    values = _with_defaults(values, defaults) if isinstance(values, Mapping) else values
    times = values.pop("repeat", None) if isinstance(values, dict) else None
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= 1000):
        raise UserError(f"{where}.repeat: expected a whole number from 1 to 1000, found {describe(times)}.")
    parsed = parse_typed(BLOCKS, values, where=where)
    return parsed if times is None else Repeat(parsed, times)


def _with_defaults(values: Mapping[str, Any], defaults: Mapping[str, Any], cls: Any = None) -> dict[str, Any]:
    """The mapping with ``defaults`` filled in, for it and all nested blocks that have such a key.

    The norm, activation and init set on a block become the defaults of the blocks nested in it, such as its ``se``.
    """
    if cls is None and values.get("type") in BLOCKS.names():
        cls = BLOCKS.get(values["type"])
    if cls is None:  # names of branches or layers
        return {k: _with_defaults(v, defaults) if isinstance(v, Mapping) else v for k, v in values.items()}
    field_names = {field.name for field in dataclasses.fields(cls)}
    values = {key: value for key, value in defaults.items() if key in field_names} | dict(values)
    inherited = dict(defaults) | {
        key: values[key] for key in LAYER_DEFAULT_KEYS if key in values and key in field_names
    }
    return {
        key: _with_defaults(value, inherited, _block_class(cls, key))
        if isinstance(value, Mapping) and key not in LAYER_DEFAULT_KEYS
        else value
        for key, value in values.items()
    }


def _block_class(cls: Any, key: str) -> Any:
    """The block class in a field's annotation, such as that of ``se``; None where it names no class of blocks."""
    hint = get_type_hints(cls).get(key)
    return next((kind for kind in get_args(hint) if isinstance(kind, type) and issubclass(kind, Block)), None)

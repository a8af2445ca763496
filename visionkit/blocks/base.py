"""The names of blocks, and the types their fields are made of."""

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

__all__ = ["BLOCKS", "Count", "Fraction", "Repeat", "Size", "block", "check_layers", "parse_block"]

BLOCKS: Registry[Block] = Registry("block")
INHERITED = ("norm", "activation", "init")
"""The keys of ``layer_defaults``."""

block = BLOCKS.register
"""Decorate a frozen dataclass so that ``type: NAME`` in a backbone file makes one."""

Count = Annotated[int, Field(gt=0, le=1_000_000)]
Depth = Annotated[int, Field(gt=0, le=1000)]
Extent = Annotated[int, Field(gt=0, le=1000)]
Size = Extent | tuple[Extent, Extent]
Padding = Annotated[int, Field(ge=0, le=1000)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


@dataclasses.dataclass(frozen=True)
class Repeat(Composite):
    """A block several times in a row; only the first takes the stride (He et al. 2016, table 1)."""

    block: Block
    times: int

    def parts(self, in_channels: int) -> Node:
        later = self.block
        if any(field.name == "stride" for field in dataclasses.fields(self.block)):  # type: ignore[arg-type]
            later = dataclasses.replace(self.block, stride=1)  # type: ignore[type-var]
        return Sequential({str(i): later if i else self.block for i in range(self.times)})


def check_layers(layers: Any, *, where: str) -> None:
    """Look whether this is a mapping of layer names to mappings that name a block each, as a stage or branch is.

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
            near = did_you_mean(name, [other for other in layers if other != name])
            raise UserError(f"{where}.{name}: this layer has no type, so it is no block.{near} Expected {example}.")


def parse_block(values: Any, *, where: str, defaults: Mapping[str, Any]) -> Block:
    """Make a block from the mapping a backbone file gives it.

    Args:
        values: A mapping with ``type``, the block's own keys, and perhaps ``repeat``.
        where: The place an error names, such as ``"lenet: stages.c1.conv"``.
        defaults: ``layer_defaults``; each applies where the block has such a key and does not give it.

    Raises:
        UserError: If the mapping does not describe a block.
    """
    values = _with_defaults(values, defaults) if isinstance(values, Mapping) else values
    times = values.pop("repeat", None) if isinstance(values, dict) else None
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= 1000):
        raise UserError(f"{where}.repeat: expected a whole number from 1 to 1000, found {describe(times)}.")
    made = parse_typed(BLOCKS, values, where=where)
    return made if times is None else Repeat(made, times)


def _with_defaults(values: Mapping[str, Any], defaults: Mapping[str, Any], cls: Any = None) -> dict[str, Any]:
    """The mapping with ``defaults`` in it and in every block inside it, where the block has such a key.

    A block inside another takes from it what that one says for itself, as the gate of a residual block does.
    """
    if cls is None and values.get("type") in BLOCKS.names():
        cls = BLOCKS.get(values["type"])
    if cls is None:  # names of branches or layers
        return {k: _with_defaults(v, defaults) if isinstance(v, Mapping) else v for k, v in values.items()}
    known = {field.name for field in dataclasses.fields(cls)}
    values = {key: value for key, value in defaults.items() if key in known} | dict(values)
    passed_on = dict(defaults) | {key: values[key] for key in INHERITED if key in values and key in known}
    return {
        key: _with_defaults(value, passed_on, _block_class(cls, key))
        if isinstance(value, Mapping) and key not in INHERITED
        else value
        for key, value in values.items()
    }


def _block_class(cls: Any, key: str) -> Any:
    """The class of a field that always holds one kind of block, as ``se`` does; otherwise None."""
    hint = get_type_hints(cls).get(key)
    return next((kind for kind in get_args(hint) if isinstance(kind, type) and issubclass(kind, Block)), None)

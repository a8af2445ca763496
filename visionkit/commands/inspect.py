"""The verb ``inspect``: a network layer by layer, by arithmetic alone; nothing is built and no torch imported."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from rich.table import Table

from visionkit.backbones import read_backbone
from visionkit.blocks import BLOCKS, Block, Node, Record
from visionkit.blocks.signal import pair
from visionkit.commands.results import output, print_json
from visionkit.errors import UserError
from visionkit.heads import parse_head

if TYPE_CHECKING:
    from visionkit.commands.run_config import RunConfig

__all__ = ["InspectOptions", "inspect"]

Count = Annotated[int, Field(gt=0, le=65_536)]


@dataclass(frozen=True, kw_only=True)
class InspectOptions:
    """The verb's own keys; None leaves the choice to the backbone's file or the data set."""

    image_size: Count | tuple[Count, Count] | None = None
    in_channels: Count | None = None
    num_classes: Count | None = None
    depth: Count = 2


def inspect(config: RunConfig, options: InspectOptions, *, use_dataset: bool) -> int:
    """Print each layer's output, parameters and view of the image.

    Args:
        config: A run, of which backbone and head count.
        options: The verb's own keys.
        use_dataset: Whether channels, size and classes come from the data set.

    Raises:
        UserError: If a layer does not fit into its input.
    """
    info = config.source.info() if use_dataset else None
    in_channels = options.in_channels or (info.in_channels if info else None)
    head = parse_head(config.head, task=config.task.name)
    backbone = head.settle(read_backbone(config.plain["backbone"], in_channels=in_channels))
    image_size = pair(options.image_size or (info.image_size if info else backbone.image_size))
    num_classes = options.num_classes or (info.num_classes if info else None)

    try:
        records = list(backbone.trace(image_size).children)
    except UserError as error:
        raise UserError(str(error).replace("dataset.image_size=", "image_size=")) from None
    if num_classes is not None:
        records += head.trace(backbone, num_classes=num_classes, image_size=image_size)
    layers = [_row(record) for part in records for record in _fold(part, options.depth)]
    totals = {"parameters": sum(record.parameters for record in records)}
    if config.format == "json":
        print_json({
            "backbone": backbone.name,
            "input": [backbone.in_channels, *image_size],
            "layers": layers,
            "totals": totals,
        })  # fmt: skip
        return 0
    _print(f"{backbone.name}, {backbone.in_channels}x{image_size[0]}x{image_size[1]} image", layers, totals)
    if num_classes is None:
        output().print("The backbone alone; num_classes=1000 adds a classifier.", style="dim")
    return 0


def _fold(record: Record, depth: int) -> Iterator[Record]:
    """The parts of a record, none deeper than ``depth`` names."""
    if record.children and len(record.path) < depth:
        for child in record.children:
            yield from _fold(child, depth)
    else:
        yield record


def _row(record: Record) -> dict[str, Any]:
    view = record.after.height
    return {
        "name": ".".join(record.path),
        "type": _type(record.node),
        "output": list(record.after.shape),
        "parameters": record.parameters,
        "receptive_field": view.receptive_field,
        "jump": view.jump,
        "offset": view.offset,
    }


def _type(node: Node) -> str:
    """The block's own name, such as ``conv`` or ``3 x bottleneck``."""
    name = type(node).__name__ if isinstance(node, Block) else node.made_by or type(node).__name__
    if name == "Repeat" and not isinstance(node, Block):
        return f"{len(node.children)} x {_type(next(iter(node.children.values())))}"
    registered = {BLOCKS.get(known).__name__: known for known in BLOCKS.names()}
    return registered.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _print(title: str, layers: Sequence[dict[str, Any]], totals: dict[str, int]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("layer", no_wrap=True)
    table.add_column("type", no_wrap=True)
    for heading in ("output C x H x W", "parameters", "sees", "stride"):
        table.add_column(heading, justify="right", no_wrap=True)
    for layer in layers:
        table.add_row(
            layer["name"],
            layer["type"],
            " x ".join(str(n) for n in layer["output"]),
            f"{layer['parameters']:,}",
            _sees(layer),
            "" if layer["jump"] is None else f"{layer['jump']}",
        )
    table.add_section()
    table.add_row("total", "", "", f"{totals['parameters']:,}", "", "")
    output().print(table)


def _sees(layer: dict[str, Any]) -> str:
    if layer["type"] == "timm_stage":  # only timm knows
        return "?"
    return "all" if layer["receptive_field"] is None else f"{layer['receptive_field']} px"

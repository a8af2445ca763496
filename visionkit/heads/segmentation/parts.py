"""The parts of a decoder: which maps each one joins, at which size, and what it makes of them; no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from visionkit.blocks import Axis, FeatureShape, LayerRecord, Node, expand, trace
from visionkit.blocks import Sequential as Nodes
from visionkit.blocks.trace import Join

__all__ = ["DecoderPart", "cells", "trace_parts"]


@dataclass(frozen=True, kw_only=True)
class DecoderPart:
    """One step of a decoder. It brings maps to one size, joins them, and sends them through layers.

    Every size is the image's divided by a stride and rounded up, so maps of images of any size meet.

    Attributes:
        sources: Names of the maps that the head is given, or of parts before this one.
        stride: Pixels of the image per cell of the joined map.
        node: The layers.
        join: Maps are stacked along the channels, or added.
        resize: How maps of another size are brought to this one.
        training_only: Whether nobody needs it but the loss.
    """

    sources: tuple[str, ...]
    stride: int
    node: Node
    join: Literal["concat", "sum"] = "concat"
    resize: Literal["bilinear", "nearest"] = "bilinear"
    training_only: bool = False


def cells(image_size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Rows and columns of a map that covers an image."""
    return -(-image_size[0] // stride), -(-image_size[1] // stride)


def trace_parts(
    parts: Mapping[str, DecoderPart], features: Mapping[str, FeatureShape], image_size: tuple[int, int]
) -> list[LayerRecord]:
    """What each part does to an image, under the path ``head.NAME``, and ``head.NAME_per_pixel`` for what comes out.

    Args:
        parts: In an order in which every part follows its sources.
        features: The maps that the head is given, by their names.
        image_size: Height and width in pixels.
    """
    after, records = dict(features), []
    for name, part in parts.items():
        sources = tuple(after[source] for source in part.sources)
        before = _join(part, sources, image_size)
        record = trace(expand(part.node, before, path=("head", name))[0], before, path=("head", name))
        records.append(_when_needed(part, replace(record, join=Join(sources, part.join))))
        after[name] = record.after
    read = {source for part in parts.values() for source in part.sources}
    records += [_per_pixel(name, part, after[name], image_size) for name, part in parts.items()
                if name not in read and after[name].chw[1:] != image_size]  # fmt: skip
    return records


def _per_pixel(name: str, part: DecoderPart, logits: FeatureShape, image_size: tuple[int, int]) -> LayerRecord:
    """What comes out is brought to the image's size."""
    height, width = (replace(axis, size=size, jump=1, offset=0.0) for axis, size in
                     zip((logits.height, logits.width), image_size, strict=True))  # fmt: skip
    whole = FeatureShape(logits.channels, height, width)
    record = LayerRecord(("head", f"{name}_per_pixel"), Nodes({}, made_by="Resize"), whole, whole, join=Join((logits,)))
    return _when_needed(part, record)


def _when_needed(part: DecoderPart, record: LayerRecord) -> LayerRecord:
    return replace(record, runs=0, training_runs=1) if part.training_only else record


def _join(part: DecoderPart, sources: Sequence[FeatureShape], image_size: tuple[int, int]) -> FeatureShape:
    """A shape that sees as far as the one of its sources that sees farthest."""
    channels = [source.channels for source in sources]
    rows, columns = cells(image_size, part.stride)
    return FeatureShape(
        sum(channels) if part.join == "concat" else channels[0],
        _axis(rows, part.stride, [source.height for source in sources]),
        _axis(columns, part.stride, [source.width for source in sources]),
    )


def _axis(size: int, stride: int, sources: Sequence[Axis]) -> Axis:
    views = [source.receptive_field for source in sources]
    widest = None if None in views else max(view for view in views if view is not None)
    return Axis(size, stride, widest, (stride - 1) / 2)

"""The parts of a decoder: which maps each of them joins, at which size, and its layers; no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from visionkit.blocks import Axis, FeatureShape, LayerRecord, Node, expand, trace
from visionkit.blocks import Sequential as Nodes
from visionkit.blocks.trace import Join

__all__ = ["DecoderPart", "map_size", "trace_parts"]


@dataclass(frozen=True, kw_only=True)
class DecoderPart:
    """One step of a decoder: resizes maps to one size, joins them, and runs layers on the result.

    That size is the image's divided by the stride and rounded up, so that maps of images of any size fit together.

    Attributes:
        sources: Names of the head's input maps, or of earlier parts.
        stride: Pixels of the image per cell of the joined map.
        node: The layers.
        join: Concatenate the maps along the channels, or add them.
        resize: The interpolation of maps of another size.
        training_only: Whether the part is for the loss alone.
    """

    sources: tuple[str, ...]
    stride: int
    node: Node
    join: Literal["concat", "sum"] = "concat"
    resize: Literal["bilinear", "nearest"] = "bilinear"
    training_only: bool = False


def map_size(image_size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Rows and columns of a map of this stride that covers an image."""
    return -(-image_size[0] // stride), -(-image_size[1] // stride)


def trace_parts(
    parts: Mapping[str, DecoderPart], features: Mapping[str, FeatureShape], image_size: tuple[int, int]
) -> list[LayerRecord]:
    """Records of each part, ``head.NAME``, and of resizing the outputs to the image, ``head.NAME_per_pixel``.

    Args:
        parts: By name, each after its sources.
        features: The shapes of the head's input maps by name.
        image_size: Height and width in pixels.
    """
    shapes, records = dict(features), []
    for name, part in parts.items():
        sources = tuple(shapes[source] for source in part.sources)
        before = _join(part, sources, image_size)
        record = trace(expand(part.node, before, path=("head", name))[0], before, path=("head", name))
        records.append(_mark_training_only(part, replace(record, join=Join(sources, part.join))))
        shapes[name] = record.after
    used = {source for part in parts.values() for source in part.sources}
    records += [_resize_record(name, part, shapes[name], image_size) for name, part in parts.items()
                if name not in used and shapes[name].chw[1:] != image_size]  # fmt: skip
    return records


def _resize_record(name: str, part: DecoderPart, logits: FeatureShape, image_size: tuple[int, int]) -> LayerRecord:
    """The record of resizing an output to the size of the image."""
    height, width = (replace(axis, size=size, jump=1, offset=0.0) for axis, size in
                     zip((logits.height, logits.width), image_size, strict=True))  # fmt: skip
    resized = FeatureShape(logits.channels, height, width)
    path, node = ("head", f"{name}_per_pixel"), Nodes({}, made_by="Resize")
    record = LayerRecord(path, node, resized, resized, join=Join((logits,)))
    return _mark_training_only(part, record)


def _mark_training_only(part: DecoderPart, record: LayerRecord) -> LayerRecord:
    return replace(record, runs=0, training_runs=1) if part.training_only else record


def _join(part: DecoderPart, sources: Sequence[FeatureShape], image_size: tuple[int, int]) -> FeatureShape:
    """The joined shape; its receptive field is the largest of its sources'."""
    channels = [source.channels for source in sources]
    rows, columns = map_size(image_size, part.stride)
    return FeatureShape(
        sum(channels) if part.join == "concat" else channels[0],
        _axis(rows, part.stride, [source.height for source in sources]),
        _axis(columns, part.stride, [source.width for source in sources]),
    )


def _axis(size: int, stride: int, sources: Sequence[Axis]) -> Axis:
    fields = [source.receptive_field for source in sources]
    largest = None if None in fields else max(field for field in fields if field is not None)
    return Axis(size, stride, largest, (stride - 1) / 2)

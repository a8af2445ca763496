"""The traced network: records of stages, neck and head for one image size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from visionkit.backbones import BackboneSpec
from visionkit.blocks import Gate, LayerRecord, Primitive, Sequential
from visionkit.errors import UserError
from visionkit.heads.spec import HeadSpec
from visionkit.inspection.memory import MemoryEstimate, estimate_memory

__all__ = ["Network", "fold", "trace_network"]


@dataclass(frozen=True)
class Network:
    """A backbone, optionally with a head, traced at one image size.

    Attributes:
        backbone: Specification of the backbone.
        image_size: Height and width in pixels.
        parts: The records of all stages, then those of neck and head.
        num_classes: Number of classes of the head, or None without a head.
        out_features: The stages that neck or head read, or None without a head; later stages are not in ``parts``.
    """

    backbone: BackboneSpec
    image_size: tuple[int, int]
    parts: tuple[LayerRecord, ...]
    num_classes: int | None = None
    out_features: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """The backbone's name."""
        return self.backbone.name

    @property
    def input(self) -> tuple[int, int, int]:
        """Channels, height and width of the image."""
        return self.backbone.in_channels, *self.image_size

    @property
    def stages(self) -> tuple[LayerRecord, ...]:
        """The records of the backbone's stages."""
        return tuple(part for part in self.parts if part.path[0] in self.backbone.stages and not part.path[1:])

    @property
    def primitives(self) -> Iterator[LayerRecord]:
        """The records of all layers, in the order of execution."""
        for part in self.parts:
            yield from part.primitives

    @property
    def weighted_layers(self) -> int | None:
        """Layers with weights on the longest path, without gates, as counted in names such as ResNet-50.

        None where they are unknown, and where neck or head have several parallel parts.
        """
        if self.is_opaque or any(part.path[1:] for part in self.parts):
            return None
        return sum(_weighted_layers(part) for part in self.parts)

    @property
    def is_opaque(self) -> bool:
        """Whether a part is opaque, as a stage of a timm model is."""
        return any(getattr(record.node, "is_opaque", False) for record in self.primitives)

    @cached_property
    def saved_memory(self) -> Mapping[tuple[str, ...], int] | None:
        """Bytes per image that training saves for backward, by path with all parts below it; None if unknown."""
        if self.memory is None:
            return None
        sizes: dict[tuple[str, ...], int] = {}
        for path, size in self.memory.saved.items():
            for end in range(1, len(path) + 1):
                sizes[path[:end]] = sizes.get(path[:end], 0) + size
        return sizes

    @cached_property
    def memory(self) -> MemoryEstimate | None:
        """The memory of the feature maps; None if unknown."""
        return None if self.is_opaque else estimate_memory(self.parts, out_features=self.out_features)


def trace_network(
    backbone: BackboneSpec, *, image_size: tuple[int, int], head: HeadSpec | None = None, num_classes: int | None = None
) -> Network:
    """Trace a backbone and, if ``num_classes`` is not None, a head.

    Args:
        backbone: Specification of the backbone.
        image_size: Height and width in pixels.
        head: Specification of the head, or None.
        num_classes: Number of classes of the head, or None for the backbone alone.

    Raises:
        UserError: If a layer does not fit into its input, or the head does not take ``num_classes``.
    """
    out_features = None
    try:
        parts = [*backbone.trace(image_size).children]
        if head is not None and num_classes is not None:
            head.check(num_classes=num_classes)
            out_features = tuple(head.out_features(backbone))
            del parts[1 + max(list(backbone.stages).index(name) for name in out_features) :]
            parts += head.trace(backbone, num_classes=num_classes, image_size=image_size)
    except UserError as error:
        raise UserError(str(error).replace("dataset.image_size=", "image_size=")) from None
    return Network(backbone, image_size, tuple(parts), num_classes if head is not None else None, out_features)


def _weighted_layers(record: LayerRecord) -> int:
    if isinstance(record.node, Gate):
        return 0
    if isinstance(record.node, Primitive):
        return record.node.weights_per_neuron(record.before) is not None
    counts = [_weighted_layers(child) for child in record.children]
    return sum(counts) if isinstance(record.node, Sequential) else max(counts, default=0)


def fold(record: LayerRecord, depth: int) -> Iterator[LayerRecord]:
    """Split a record into its parts, down to paths of ``depth`` names."""
    if record.children and len(record.path) < depth:
        for part in record.parts:
            yield from fold(part, depth)
    else:
        yield record

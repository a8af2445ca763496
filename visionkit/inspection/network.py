"""What is looked at: the records of stages, neck and head for one image size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from visionkit.backbones import BackboneSpec
from visionkit.blocks import Gate, LayerRecord, Primitive, Sequential
from visionkit.errors import UserError
from visionkit.heads.spec import HeadSpec
from visionkit.inspection.memory import MemoryEstimate, estimate_memory

__all__ = ["Network", "fold", "network"]


@dataclass(frozen=True)
class Network:
    """A backbone, perhaps with a head, at one image size.

    Attributes:
        backbone: Its specification.
        image_size: Height and width in pixels.
        parts: The records of all stages, then those of neck and head.
        num_classes: How many the head tells apart, or None without a head.
        given: The stages that neck or head read; those behind the last of them are left out.
    """

    backbone: BackboneSpec
    image_size: tuple[int, int]
    parts: tuple[LayerRecord, ...]
    num_classes: int | None = None
    given: tuple[str, ...] | None = None

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
        """The backbone's own parts."""
        return tuple(part for part in self.parts if part.path[0] in self.backbone.stages and not part.path[1:])

    @property
    def primitives(self) -> Iterator[LayerRecord]:
        """All layers in the order of execution."""
        for part in self.parts:
            yield from part.primitives

    @property
    def weighted_layers(self) -> int | None:
        """Layers with weights on the longest way through, gates left out, as names such as ResNet-50 count them.

        None where they are not known, and where neck or head have several ways.
        """
        if self.is_opaque or any(part.path[1:] for part in self.parts):
            return None
        return sum(_weighted_layers(part) for part in self.parts)

    @property
    def is_opaque(self) -> bool:
        """Whether of some part only the whole is known, as of timm's models."""
        return any(getattr(record.node, "is_opaque", False) for record in self.primitives)

    @cached_property
    def kept(self) -> Mapping[tuple[str, ...], int] | None:
        """What all primitives below a path make that training keeps for backward, in bytes for one image."""
        if self.memory is None:
            return None
        below: dict[tuple[str, ...], int] = {}
        for path, size in self.memory.kept.items():
            for end in range(1, len(path) + 1):
                below[path[:end]] = below.get(path[:end], 0) + size
        return below

    @cached_property
    def memory(self) -> MemoryEstimate | None:
        """The life of its maps, or None where it is not known."""
        return None if self.is_opaque else estimate_memory(self.parts, given=self.given)


def network(
    backbone: BackboneSpec, *, image_size: tuple[int, int], head: HeadSpec | None = None, num_classes: int | None = None
) -> Network:
    """Send an image through a backbone and, where ``num_classes`` is given, through a head.

    Raises:
        UserError: If a layer does not fit into its input, or the head does not fit so many classes.
    """
    given = None
    try:
        parts = [*backbone.trace(image_size).children]
        if head is not None and num_classes is not None:
            head.check(num_classes=num_classes)
            given = tuple(head.out_features(backbone))
            del parts[1 + max(list(backbone.stages).index(name) for name in given) :]
            parts += head.trace(backbone, num_classes=num_classes, image_size=image_size)
    except UserError as error:
        raise UserError(str(error).replace("dataset.image_size=", "image_size=")) from None
    return Network(backbone, image_size, tuple(parts), num_classes if head is not None else None, given)


def _weighted_layers(record: LayerRecord) -> int:
    if isinstance(record.node, Gate):
        return 0
    if isinstance(record.node, Primitive):
        return record.node.weights_per_neuron(record.before) is not None
    counts = [_weighted_layers(child) for child in record.children]
    return sum(counts) if isinstance(record.node, Sequential) else max(counts, default=0)


def fold(record: LayerRecord, depth: int) -> Iterator[LayerRecord]:
    """The parts of a record, none deeper than ``depth`` names."""
    if record.children and len(record.path) < depth:
        for part in record.parts:
            yield from fold(part, depth)
    else:
        yield record

"""What heads on a feature pyramid share: the neck, anchors, and how their parts are traced; no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from pydantic import Field

from visionkit.backbones import BackboneSpec
from visionkit.blocks import (
    FeatureShape,
    LayerRecord,
    Node,
    expand,
    trace,
)
from visionkit.blocks.base import Count
from visionkit.heads.spec import HeadSpec
from visionkit.necks import FPNSpec

__all__ = ["DetectionSpec", "Positive", "Probability", "anchor_shapes", "is_resnet50", "trace_levels"]


Probability = Annotated[float, Field(ge=0, le=1)]


Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, kw_only=True)
class DetectionSpec(HeadSpec):
    """A head on a feature pyramid.

    Attributes:
        neck: The pyramid.
        max_detections: How many boxes are given per image, at most.
    """

    task: ClassVar[str] = "detect"

    neck: FPNSpec = FPNSpec()
    max_detections: Count = 100

    def out_features(self, backbone: BackboneSpec) -> list[str]:
        return [stage.name for stage in self.neck.stages(backbone).values()]

    @property
    def num_anchors(self) -> int:
        """How often each class has a row in the last layer."""
        return 1


def trace_levels(
    branches: Mapping[str, tuple[str | None, Node]], levels: Mapping[str, FeatureShape], *, level_by_level: bool
) -> list[LayerRecord]:
    """What parts that are the same on every level do there; their weights are counted on the first.

    Args:
        branches: The parts by name: each stands on another one's maps, or on the level itself (None).
        levels: The levels' maps by name.
        level_by_level: Whether all parts look at one level before the next; else each part at all levels.
    """
    records: list[LayerRecord] = []
    after: dict[tuple[str, str], FeatureShape] = {}
    pairs = [(name, level) for level in levels for name in branches]
    for name, level in pairs if level_by_level else sorted(pairs, key=lambda pair: list(branches).index(pair[0])):
        source, node = branches[name]
        before = levels[level] if source is None else after[source, level]
        record = trace(expand(node, before)[0], before, path=("head", name, level))
        after[name, level] = record.after
        records.append(replace(record, shared=level != next(iter(levels))))
    return records


def anchor_shapes(sizes: Iterable[float], aspect_ratios: Iterable[float], *, whole: bool) -> list[tuple[float, float]]:
    """Width and height of anchors, each of the area of a square of that size.

    With ``whole``, as in torchvision, sizes and halves of the sides are whole pixels.
    """
    if whole:
        sides = [(int(size) / math.sqrt(r), int(size) * math.sqrt(r)) for r in aspect_ratios for size in sizes]
        return [(2.0 * round(width / 2), 2.0 * round(height / 2)) for width, height in sides]
    return [(size / math.sqrt(r), size * math.sqrt(r)) for r in aspect_ratios for size in sizes]


def is_resnet50(backbone: BackboneSpec) -> bool:
    """Whether it is the backbone of torchvision's detectors."""
    return (backbone.torchvision or {}).get("model") == "resnet50"

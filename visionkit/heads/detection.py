"""Shared by all specifications of detection heads: the neck, anchor shapes, and tracing of branches; no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
from visionkit.blocks.registry import Count
from visionkit.heads.spec import HeadSpec
from visionkit.necks import FPNSpec, NeckField

__all__ = [
    "TORCHVISION_PYRAMID",
    "DetectionSpec",
    "Positive",
    "Probability",
    "anchor_shapes",
    "is_resnet50",
    "trace_levels",
]


Probability = Annotated[float, Field(ge=0, le=1)]


Positive = Annotated[float, Field(gt=0, le=65_536)]

TORCHVISION_PYRAMID = FPNSpec(
    out_channels=256, finest_stride=8, num_levels=5, norm=None, extra="conv", extra_from="level"
)
"""The pyramid of torchvision's one-stage detectors."""


@dataclass(frozen=True, kw_only=True)
class DetectionSpec(HeadSpec):
    """A detection head on a feature pyramid.

    Attributes:
        neck: The feature pyramid, one of those registered in `visionkit.necks.NECKS`.
        max_detections: The largest number of boxes predicted per image.
    """

    task: ClassVar[str] = "detect"

    neck: NeckField = field()  # hides the None of heads without a neck, which would be its default
    max_detections: Count

    def out_features(self, backbone: BackboneSpec) -> list[str]:
        return self.neck.stage_names(backbone)

    @property
    def num_anchors(self) -> int:
        """Anchors per cell, which is how often each class occurs among the rows of the class layer."""
        return 1


def trace_levels(
    branches: Mapping[str, tuple[str | None, Node]], levels: Mapping[str, FeatureShape], *, level_by_level: bool
) -> list[LayerRecord]:
    """The records of branches that share weights over all levels; parameters are counted on the first level.

    Args:
        branches: By name, each with the branch whose output it takes, or None for the level itself.
        levels: The shapes of the levels by name.
        level_by_level: Whether all branches run on one level before the next; else each branch runs on all levels.
    """
    records: list[LayerRecord] = []
    outputs: dict[tuple[str, str], FeatureShape] = {}
    pairs = [(name, level) for level in levels for name in branches]
    for name, level in pairs if level_by_level else sorted(pairs, key=lambda pair: list(branches).index(pair[0])):
        source, node = branches[name]
        before = levels[level] if source is None else outputs[source, level]
        record = trace(expand(node, before)[0], before, path=("head", name, level))
        outputs[name, level] = record.after
        records.append(replace(record, shared=level != next(iter(levels))))
    return records


def anchor_shapes(sizes: Iterable[float], aspect_ratios: Iterable[float], *, whole: bool) -> list[tuple[float, float]]:
    """Width and height in pixels of anchors of each aspect ratio (height / width) and size (root of the area).

    With ``whole``, sizes and half sides are whole pixels, as in torchvision.
    """
    if whole:
        sides = [(int(size) / math.sqrt(r), int(size) * math.sqrt(r)) for r in aspect_ratios for size in sizes]
        return [(2.0 * round(width / 2), 2.0 * round(height / 2)) for width, height in sides]
    return [(size / math.sqrt(r), size * math.sqrt(r)) for r in aspect_ratios for size in sizes]


def is_resnet50(backbone: BackboneSpec) -> bool:
    """Whether the backbone equals torchvision's resnet50, the backbone of its detectors."""
    return (backbone.torchvision or {}).get("model") == "resnet50"

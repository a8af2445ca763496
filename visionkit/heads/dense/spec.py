"""Heads that find objects: what they are, checked and counted without torch."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from visionkit.backbones import BackboneSpec
from visionkit.blocks import (
    Activation,
    Conv,
    Conv2d,
    GroupNorm,
    Init,
    LayerRecord,
    Node,
    NormField,
    Sequential,
    build,
)
from visionkit.blocks.base import Count
from visionkit.heads.detection import DetectionSpec, Positive, Probability, anchor_shapes, is_resnet50, trace_levels
from visionkit.necks import FPNSpec

__all__ = [
    "DenseSpec",
    "FcosSpec",
    "RetinaNetSpec",
]


_INIT = Init("normal", std=0.01)
_RARE = Init("normal", std=0.01, bias=-math.log(99))
"""Every sigmoid begins at 0.01, so that the many places of background don't drown the few others (Lin et al. 2017,
section 4.1)."""
_MIDDLING = Init("normal", std=0.01, bias=4.0)
"""Distances begin at half of the 8 strides that a level is for; from 0, half of the ReLUs behind them never move."""


@dataclass(frozen=True, kw_only=True)
class DenseSpec(DetectionSpec):
    """Towers of convolutions, the same on every level, that judge each place of each level.

    Attributes:
        num_convs: Layers of each tower.
        norm: Behind each of them. The default counts on no batch, so it trains at any batch size.
        centers: What a cell judges is centred on its ``receptive_field``; ``corner`` is torchvision's way: cell i
            stands at i times the whole number of image pixels per cell (and anchors have whole sides).
        alpha: The focal loss's weight of objects; background's is ``1 - alpha``.
        gamma: How much the focal loss weights easy places down.
        score_threshold: Boxes that score no more are not given.
        nms_threshold: Of two boxes of a class that overlap by more, the worse is not given.
        candidates: How many boxes of each level are looked at, at most.
    """

    num_convs: Annotated[int, Field(ge=0, le=16)] = 4
    norm: NormField = GroupNorm()
    centers: Literal["receptive_field", "corner"] = "receptive_field"
    alpha: Probability = 0.25
    gamma: Annotated[float, Field(ge=0)] = 2.0
    score_threshold: Probability = 0.05
    nms_threshold: Probability = 0.5
    candidates: Count = 1000

    @abstractmethod
    def branches(self, num_classes: int) -> Mapping[str, tuple[str | None, Node]]:
        """The parts by name: each stands on another one's maps, or on the level itself (None)."""

    def trace(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> list[LayerRecord]:
        """The neck's parts, then each part of the head on each level; its weights are counted on the first."""
        records = self.neck.trace(backbone, image_size=image_size)
        levels = self.neck.levels(records)
        return records + trace_levels(self.branches(num_classes), levels, level_by_level=True)

    def arguments(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> dict[str, Any]:
        """The layers by the names of `branches`, and what `visionkit.heads.dense.head.DenseHead` takes beside them."""
        records = self.trace(backbone, num_classes=num_classes, image_size=image_size)
        return {
            "layers": {
                record.path[1]: build(record.node, record.before)[0]
                for record in records
                if record.path[0] == "head" and not record.shared
            },
            "levels": self.neck.feature_info(backbone),
            "corner": self.centers == "corner",
            "num_anchors": self.num_anchors,
            "alpha": self.alpha,
            "gamma": self.gamma,
            "score_threshold": self.score_threshold,
            "nms_threshold": self.nms_threshold,
            "candidates": self.candidates,
            "max_detections": self.max_detections,
        }

    def _tower(self, *, bias: bool | None = None) -> Node:
        conv = Conv(
            out_channels=self.neck.out_channels,
            kernel_size=3,
            padding="same",
            bias=bias,
            norm=self.norm,
            activation=Activation("relu"),
            init=_INIT,
        )
        return Sequential({str(i): conv for i in range(self.num_convs)})


@dataclass(frozen=True, kw_only=True)
class FcosSpec(DenseSpec):
    """FCOS (Tian et al. 2020, arXiv:2006.09214): each place near an object's centre gives its distances to the edges.

    Attributes:
        quality: What weighs the scores: how central a place is in its object, or how well its box fits.
        center_radius: How far from an object's centre a place may be to count, in strides.
    """

    quality: Literal["centerness", "iou"] = "centerness"
    center_radius: Annotated[float, Field(gt=0, le=16)] = 1.5
    nms_threshold: Probability = 0.6

    def branches(self, num_classes: int) -> Mapping[str, tuple[str | None, Node]]:
        return {
            "classification": (None, self._tower(bias=True)),
            "regression": (None, self._tower(bias=True)),
            "distances": ("regression", _predictor(4, init=_MIDDLING)),
            "quality": ("regression", _predictor(1)),
            "logits": ("classification", _predictor(num_classes, init=_RARE)),
        }

    def torchvision_model(self, backbone: BackboneSpec) -> str | None:
        same = (
            self.num_convs == 4 and self.norm == GroupNorm() and self.neck == FPNSpec() and self.quality == "centerness"
        )
        return "fcos_resnet50_fpn" if same and is_resnet50(backbone) else None

    def arguments(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> dict[str, Any]:
        arguments = super().arguments(backbone, num_classes=num_classes, image_size=image_size)
        return arguments | {"quality": self.quality, "center_radius": self.center_radius}


@dataclass(frozen=True, kw_only=True)
class RetinaNetSpec(DenseSpec):
    """RetinaNet (Lin et al. 2017, arXiv:1708.02002): each place says which of its anchors are objects, moved how.

    Attributes:
        box_loss: On the anchors' deltas (``l1``), or on the boxes they mean (``giou``).
        anchor_size: Side of the smallest anchor in strides.
        scales: Sizes of anchors per octave.
        aspect_ratios: Heights divided by widths.
        foreground_iou: An anchor that overlaps an object by so much is that object's.
        background_iou: One that overlaps all by less is background; between both, it does not count.
    """

    box_loss: Literal["l1", "giou"] = "l1"
    anchor_size: Positive = 4.0
    scales: Annotated[int, Field(ge=1, le=16)] = 3
    aspect_ratios: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.5, 1.0, 2.0)
    foreground_iou: Probability = 0.5
    background_iou: Probability = 0.4

    def __post_init__(self) -> None:
        if self.background_iou > self.foreground_iou:
            raise ValueError(
                f"background_iou must be at most foreground_iou={self.foreground_iou}, found {self.background_iou}"
            )

    @property
    def num_anchors(self) -> int:
        return self.scales * len(self.aspect_ratios)

    def anchor_shapes(self, stride: int) -> list[tuple[float, float]]:
        """Width and height in pixels of the anchors at each place of a level, of the same area for each scale."""
        sizes = [self.anchor_size * stride * 2 ** (i / self.scales) for i in range(self.scales)]
        return anchor_shapes(sizes, self.aspect_ratios, whole=self.centers == "corner")

    def branches(self, num_classes: int) -> Mapping[str, tuple[str | None, Node]]:
        return {
            "classification": (None, self._tower()),
            "regression": (None, self._tower()),
            "deltas": ("regression", _predictor(4 * self.num_anchors)),
            "logits": ("classification", _predictor(num_classes * self.num_anchors, init=_RARE)),
        }

    def torchvision_model(self, backbone: BackboneSpec) -> str | None:
        anchors = (self.anchor_size, self.scales, self.aspect_ratios)
        if self.num_convs != 4 or anchors != (4.0, 3, (0.5, 1.0, 2.0)) or not is_resnet50(backbone):
            return None
        if self.norm is None and self.neck == FPNSpec():
            return "retinanet_resnet50_fpn"
        same = self.norm == GroupNorm() and self.neck == FPNSpec(extra_from="stage")
        return "retinanet_resnet50_fpn_v2" if same else None

    def arguments(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> dict[str, Any]:
        arguments = super().arguments(backbone, num_classes=num_classes, image_size=image_size)
        return arguments | {
            "anchor_shapes": [self.anchor_shapes(level.stride) for level in arguments["levels"].values()],
            "box_loss": self.box_loss,
            "foreground_iou": self.foreground_iou,
            "background_iou": self.background_iou,
        }


def _predictor(channels: int, *, init: Init = _INIT) -> Node:
    return Conv2d(out_channels=channels, kernel_size=(3, 3), padding=(1, 1), init=init)

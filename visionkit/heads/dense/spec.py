"""Specifications of dense detection heads, validated, traced and counted without torch."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
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
from visionkit.blocks.registry import Count
from visionkit.heads.detection import (
    TORCHVISION_PYRAMID,
    DetectionSpec,
    Positive,
    Probability,
    anchor_shapes,
    is_resnet50,
    trace_levels,
)
from visionkit.losses.spec import BOX_LOSSES, BoxLossSpec
from visionkit.schema import Registered

__all__ = ["DenseSpec", "FcosSpec", "RetinaNetSpec"]

_INIT = Init("normal", std=0.01)
_PRIOR_INIT = Init("normal", std=0.01, bias=-math.log(99))
"""Probabilities start at the prior 0.01, so that background does not dominate the first losses (Lin et al. 2017,
section 4.1)."""
_DISTANCE_INIT = Init("normal", std=0.01, bias=4.0)
"""Distances start at half of a level's 8 strides; from 0, half of the ReLUs after them would stay inactive."""


@dataclass(frozen=True, kw_only=True)
class DenseSpec(DetectionSpec):
    """Towers of convolutions that share their weights over all levels.

    Attributes:
        num_convs: Convolutions in each tower.
        norm: The norm after each of them.
        centers: Anchor points are the centres of each cell's ``receptive_field``, or, with ``corner``, torchvision's:
            that of cell i is i times the whole number of image pixels per cell (and anchors have whole sides).
        alpha: The focal loss's weight of objects; that of background is ``1 - alpha``.
        gamma: The focal loss's focusing parameter.
        score_threshold: Boxes with scores up to this are discarded.
        nms_threshold: Of two boxes of a class with an IoU above this, the worse is suppressed.
        candidates: The largest number of boxes per level before suppression.
    """

    num_convs: Annotated[int, Field(ge=0, le=16)]
    norm: NormField
    centers: Literal["receptive_field", "corner"]
    alpha: Probability
    gamma: Annotated[float, Field(ge=0, le=100)]
    score_threshold: Probability
    nms_threshold: Probability
    candidates: Count

    @abstractmethod
    def branches(self, num_classes: int) -> Mapping[str, tuple[str | None, Node]]:
        """The branches by name, each with the branch whose output it takes, or None for the level itself."""

    def trace(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> list[LayerRecord]:
        """The neck's records, then those of each branch on each level; parameters are counted on the first level."""
        self.neck.stage_names(backbone)  # an error in words where there are none
        records = self.neck.trace(backbone, image_size=image_size)
        levels = self.neck.levels(records)
        return records + trace_levels(self.branches(num_classes), levels, level_by_level=True)

    def arguments(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> dict[str, Any]:
        """The arguments of `visionkit.heads.dense.head.DenseHead`; layers have the names of `branches`."""
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
    """FCOS (Tian et al. 2020, arXiv:2006.09214): points near an object's centre predict distances to its edges.

    Attributes:
        quality: The factor of the scores: ``centerness`` of a point in its object, or ``iou`` of the predicted box.
        center_radius: The radius around an object's centre in which points are positive, in strides.
    """

    quality: Literal["centerness", "iou"]
    center_radius: Annotated[float, Field(gt=0, le=16)]

    def branches(self, num_classes: int) -> Mapping[str, tuple[str | None, Node]]:
        return {
            "classification": (None, self._tower(bias=True)),
            "regression": (None, self._tower(bias=True)),
            "distances": ("regression", _predictor(4, init=_DISTANCE_INIT)),
            "quality": ("regression", _predictor(1)),
            "logits": ("classification", _predictor(num_classes, init=_PRIOR_INIT)),
        }

    def torchvision_model(self, backbone: BackboneSpec) -> str | None:
        same = (
            self.num_convs == 4
            and self.norm == GroupNorm()
            and self.neck == TORCHVISION_PYRAMID
            and self.quality == "centerness"
        )
        return "fcos_resnet50_fpn" if same and is_resnet50(backbone) else None

    def arguments(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> dict[str, Any]:
        arguments = super().arguments(backbone, num_classes=num_classes, image_size=image_size)
        return arguments | {"quality": self.quality, "center_radius": self.center_radius}


@dataclass(frozen=True, kw_only=True)
class RetinaNetSpec(DenseSpec):
    """RetinaNet (Lin et al. 2017, arXiv:1708.02002): classes and box deltas of several anchors per point.

    Attributes:
        box_loss: A loss of `visionkit.losses.spec.BOX_LOSSES`: ``l1`` of the deltas, ``giou`` of the decoded boxes.
        anchor_size: Side of the smallest square anchor in strides.
        scales: Sizes of anchors per octave.
        aspect_ratios: Height divided by width of the anchors.
        foreground_iou: Anchors of at least this IoU with an object are positive.
        background_iou: Anchors below this IoU with all objects are background; those in between are ignored.
    """

    box_loss: Annotated[BoxLossSpec, Registered(BOX_LOSSES)]
    anchor_size: Positive
    scales: Annotated[int, Field(ge=1, le=16)]
    aspect_ratios: Annotated[tuple[Positive, ...], Field(min_length=1)]
    foreground_iou: Probability
    background_iou: Probability

    def __post_init__(self) -> None:
        if self.background_iou > self.foreground_iou:
            raise ValueError(
                f"background_iou must be at most foreground_iou={self.foreground_iou}, found {self.background_iou}"
            )

    @property
    def num_anchors(self) -> int:
        return self.scales * len(self.aspect_ratios)

    def anchor_shapes(self, stride: int) -> list[tuple[float, float]]:
        """Width and height in pixels of the anchors at each point of a level with this stride."""
        sizes = [self.anchor_size * stride * 2 ** (i / self.scales) for i in range(self.scales)]
        return anchor_shapes(sizes, self.aspect_ratios, whole=self.centers == "corner")

    def branches(self, num_classes: int) -> Mapping[str, tuple[str | None, Node]]:
        return {
            "classification": (None, self._tower()),
            "regression": (None, self._tower()),
            "deltas": ("regression", _predictor(4 * self.num_anchors)),
            "logits": ("classification", _predictor(num_classes * self.num_anchors, init=_PRIOR_INIT)),
        }

    def torchvision_model(self, backbone: BackboneSpec) -> str | None:
        anchors = (self.anchor_size, self.scales, self.aspect_ratios)
        if self.num_convs != 4 or anchors != (4.0, 3, (0.5, 1.0, 2.0)) or not is_resnet50(backbone):
            return None
        if self.norm is None and self.neck == TORCHVISION_PYRAMID:
            return "retinanet_resnet50_fpn"
        is_v2 = self.norm == GroupNorm() and self.neck == replace(TORCHVISION_PYRAMID, extra_from="stage")
        return "retinanet_resnet50_fpn_v2" if is_v2 else None

    def arguments(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> dict[str, Any]:
        arguments = super().arguments(backbone, num_classes=num_classes, image_size=image_size)
        box_loss: Callable[..., Any] = BOX_LOSSES.module_of(type(self.box_loss))
        return arguments | {
            "anchor_shapes": [self.anchor_shapes(level.stride) for level in arguments["levels"].values()],
            "box_loss": partial(box_loss, **vars(self.box_loss)),
            "loss_of_deltas": self.box_loss.of_deltas,
            "foreground_iou": self.foreground_iou,
            "background_iou": self.background_iou,
        }


def _predictor(channels: int, *, init: Init = _INIT) -> Node:
    """A 3x3 convolution that keeps the size, without norm and activation."""
    return Conv2d(out_channels=channels, kernel_size=(3, 3), padding=(1, 1), init=init)

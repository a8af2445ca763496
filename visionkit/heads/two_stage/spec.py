"""Specifications of two-stage detection heads, validated, traced and counted without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from visionkit.backbones import BackboneSpec
from visionkit.blocks import (
    Activation,
    Conv,
    Conv2d,
    ConvTranspose2d,
    FeatureShape,
    Flatten,
    Init,
    LayerRecord,
    Linear,
    Node,
    NormField,
    Sequential,
    build,
    expand,
    trace,
)
from visionkit.blocks.registry import Count
from visionkit.blocks.shapes import Axis
from visionkit.blocks.trace import Join
from visionkit.heads.detection import (
    TORCHVISION_PYRAMID,
    DetectionSpec,
    Positive,
    Probability,
    anchor_shapes,
    is_resnet50,
    trace_levels,
)

__all__ = ["FasterRcnnSpec", "MaskRcnnSpec"]

POOLED_SIZE = 7
"""Rows and columns pooled for each proposal (Lin et al. 2017, arXiv:1612.03144, section 4.2)."""

MASK_POOLED_SIZE = 14
"""Rows and columns pooled for each mask, which has twice as many (He et al. 2017, arXiv:1703.06870, figure 4)."""

_INIT = Init("normal", std=0.01)
_MASK_INIT = Init("kaiming_normal", mode="fan_out", nonlinearity="relu")


@dataclass(frozen=True, kw_only=True)
class FasterRcnnSpec(DetectionSpec):
    """Faster R-CNN (Ren et al. 2015, arXiv:1506.01497) on a pyramid (Lin et al. 2017, arXiv:1612.03144, section 4).

    The first stage proposes boxes on every level; the second classifies and refines them, with features pooled from
    the levels that come from stages of the backbone.

    Attributes:
        norm: The norm after the first stage's convolution.
        centers: Anchor points are the centres of each cell's ``receptive_field``, or, with ``corner``, torchvision's:
            that of cell i is i times the whole number of image pixels per cell (and anchors have whole sides).
        anchor_size: Side of the square anchor in strides of its level.
        aspect_ratios: Height divided by width of the anchors.
        hidden: Output features of the second stage's fully connected layers.
        proposals: The largest number of proposals per image.
        training_proposals: The same in training.
        sampled_anchors: Anchors per image sampled for the first stage's losses.
        sampled_proposals: Proposals per image sampled for the second stage's losses.
        score_threshold: Boxes with scores up to this are discarded.
        nms_threshold: Of two boxes of a class with an IoU above this, the worse is suppressed.
    """

    norm: NormField
    centers: Literal["receptive_field", "corner"]
    anchor_size: Positive
    aspect_ratios: Annotated[tuple[Positive, ...], Field(min_length=1)]
    hidden: Annotated[tuple[Count, ...], Field(min_length=1)]
    proposals: Count
    training_proposals: Count
    sampled_anchors: Count
    sampled_proposals: Count
    score_threshold: Probability
    nms_threshold: Probability

    def anchor_shapes(self, stride: int) -> list[tuple[float, float]]:
        """Width and height in pixels of the anchors at each point of a level with this stride, all of one area."""
        return anchor_shapes([self.anchor_size * stride], self.aspect_ratios, whole=self.centers == "corner")

    def torchvision_model(self, backbone: BackboneSpec) -> str | None:
        sizes = (self.neck, self.norm, self.anchor_size, self.aspect_ratios, self.hidden)
        paper = (
            replace(TORCHVISION_PYRAMID, finest_stride=4, extra="max_pool"),
            None,
            8.0,
            (0.5, 1.0, 2.0),
            (1024, 1024),
        )
        return "fasterrcnn_resnet50_fpn" if sizes == paper and is_resnet50(backbone) else None

    def trace(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> list[LayerRecord]:
        """The neck's records, the first stage's on each level, and the second stage's for all proposals of an image.

        In training, the second stage runs on the sampled proposals.
        """
        self.neck.stage_names(backbone)  # an error in words where there are none
        records = self.neck.trace(backbone, image_size=image_size)
        records += trace_levels(self._first_stage(), self.neck.levels(records), level_by_level=False)
        pooled = self._pooled("pooled", POOLED_SIZE, backbone, records)
        before = pooled.after
        second_stage = [pooled]
        for name, node in self._second_stage(num_classes).items():
            second_stage.append(trace(expand(node, before)[0], before, path=("head", name)))
            if name == "hidden":
                before = second_stage[-1].after
        runs, training_runs = self.proposals, self.sampled_proposals
        return records + [replace(record, runs=runs, training_runs=training_runs) for record in second_stage]

    def arguments(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> dict[str, Any]:
        """The arguments of `visionkit.heads.two_stage.faster_rcnn.FasterRcnnHead`; layers have the names of `trace`."""
        records = self.trace(backbone, num_classes=num_classes, image_size=image_size)
        layers = {
            record.path[1]: build(record.node, record.before)[0]
            for record in records
            if record.path[0] == "head" and record.parameters
        }
        levels = self.neck.feature_info(backbone)
        return {
            "layers": layers,
            "levels": levels,
            "num_pooled": len(self.neck.stages(backbone)),
            "pooled_size": POOLED_SIZE,
            "corner": self.centers == "corner",
            "anchor_shapes": [self.anchor_shapes(level.stride) for level in levels.values()],
            "proposals": self.proposals,
            "training_proposals": self.training_proposals,
            "sampled_anchors": self.sampled_anchors,
            "sampled_proposals": self.sampled_proposals,
            "score_threshold": self.score_threshold,
            "nms_threshold": self.nms_threshold,
            "max_detections": self.max_detections,
        }

    def _pooled(self, name: str, size: int, backbone: BackboneSpec, records: list[LayerRecord]) -> LayerRecord:
        """The record of RoIAlign for one box; its shape has no receptive field, as that depends on the box."""
        axis = Axis(size, None, None, None)
        pooled = FeatureShape(self.neck.out_channels, axis, axis)
        levels = tuple(self.neck.levels(records).values())[: len(self.neck.stages(backbone))]
        return LayerRecord(
            ("head", name), Sequential({}, made_by="RoiAlign"), pooled, pooled, join=Join(levels, "pool")
        )

    def _first_stage(self) -> Mapping[str, tuple[str | None, Node]]:
        tower = Conv(
            out_channels=self.neck.out_channels,
            kernel_size=3,
            padding="same",
            norm=self.norm,
            activation=Activation("relu"),
            init=_INIT,
        )
        anchors = len(self.aspect_ratios)
        return {
            "tower": (None, tower),
            "objectness": ("tower", Conv2d(out_channels=anchors, kernel_size=(1, 1), init=_INIT)),
            "deltas": ("tower", Conv2d(out_channels=4 * anchors, kernel_size=(1, 1), init=_INIT)),
        }

    def _second_stage(self, num_classes: int) -> Mapping[str, Node]:
        layers: dict[str, Node] = {"flatten": Flatten()}
        for i, width in enumerate(self.hidden, start=1):
            layers |= {f"hidden{i}": Linear(out_features=width), f"act{i}": Activation("relu")}
        return {
            "hidden": Sequential(layers),
            "classes": Linear(out_features=num_classes + 1),  # and the background
            "boxes": Linear(out_features=4 * (num_classes + 1)),
        }


@dataclass(frozen=True, kw_only=True)
class MaskRcnnSpec(FasterRcnnSpec):
    """Mask R-CNN (He et al. 2017, arXiv:1703.06870): Faster R-CNN, and a mask for each box and class.

    Attributes:
        mask_convs: Convolutions of the mask branch before upsampling.
        mask_channels: Output channels of each.
    """

    task: ClassVar[str] = "instance"

    mask_convs: Annotated[int, Field(ge=0, le=16)]
    mask_channels: Count

    def torchvision_model(self, backbone: BackboneSpec) -> str | None:
        if (self.mask_convs, self.mask_channels) != (4, 256) or super().torchvision_model(backbone) is None:
            return None
        return "maskrcnn_resnet50_fpn"

    def trace(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> list[LayerRecord]:
        """Faster R-CNN's records, and the mask branch's for all detections; in training, for all positive samples."""
        records = super().trace(backbone, num_classes=num_classes, image_size=image_size)
        neck = [record for record in records if record.path[0] == "neck"]
        pooled = self._pooled("pooled_for_masks", MASK_POOLED_SIZE, backbone, neck)
        masks = trace(expand(self._masks(num_classes), pooled.after)[0], pooled.after, path=("head", "masks"))
        positives = max(self.sampled_proposals // 4, 1)  # at most (Ren et al. 2015, section 3.1.3)
        return records + [replace(r, runs=self.max_detections, training_runs=positives) for r in (pooled, masks)]

    def arguments(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> dict[str, Any]:
        arguments = super().arguments(backbone, num_classes=num_classes, image_size=image_size)
        return arguments | {"mask_pooled_size": MASK_POOLED_SIZE}

    def _masks(self, num_classes: int) -> Node:
        """Convolutions, upsampling by 2, and a mask for each class (He et al. 2017, figure 4)."""
        conv = Conv(
            out_channels=self.mask_channels,
            kernel_size=3,
            padding="same",
            activation=Activation("relu"),
            init=_MASK_INIT,
        )
        layers: dict[str, Node] = {f"conv{i}": conv for i in range(1, self.mask_convs + 1)}
        layers |= {
            "upsample": ConvTranspose2d(out_channels=self.mask_channels, factor=2, init=_MASK_INIT),
            "act": Activation("relu"),
            "logits": Conv2d(out_channels=num_classes + 1, kernel_size=(1, 1), init=_MASK_INIT),  # and the background
        }
        return Sequential(layers)

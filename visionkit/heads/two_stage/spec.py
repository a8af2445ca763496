"""The head that looks twice: what it is, checked and counted without torch."""

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
from visionkit.blocks.base import Count
from visionkit.blocks.shapes import Axis
from visionkit.blocks.trace import Join
from visionkit.heads.detection import DetectionSpec, Positive, Probability, anchor_shapes, is_resnet50, trace_levels
from visionkit.necks import FPNSpec

__all__ = ["FasterRcnnSpec", "MaskRcnnSpec"]

POOLED_SIZE = 7
"""Rows and columns that are pooled for each proposal (Lin et al. 2017, arXiv:1612.03144, section 4.2)."""

MASK_POOLED_SIZE = 14
"""The same for a mask, which has twice as many (He et al. 2017, arXiv:1703.06870, figure 4)."""

_INIT = Init("normal", std=0.01)
_MASK_INIT = Init("kaiming_normal", mode="fan_out", nonlinearity="relu")


@dataclass(frozen=True, kw_only=True)
class FasterRcnnSpec(DetectionSpec):
    """Faster R-CNN (Ren et al. 2015, arXiv:1506.01497) on a pyramid (Lin et al. 2017, arXiv:1612.03144, section 4).

    The first stage proposes boxes on every level; the second one looks at each of them once more, on the levels that
    stand on stages of the backbone.

    Attributes:
        norm: Behind the first stage's convolution.
        centers: A cell stands at the centre of its ``receptive_field``; ``corner`` is torchvision's way: cell i
            stands at i times the whole number of image pixels per cell (and anchors have whole sides).
        anchor_size: Side of the anchors in strides of their level.
        aspect_ratios: Heights divided by widths.
        hidden: Widths of the fully connected layers that look at a proposal.
        proposals: How many the first stage makes per image, at most.
        training_proposals: The same in training.
        sampled_anchors: How many of an image's anchors the first stage's loss draws.
        sampled_proposals: How many of an image's proposals the second stage's loss draws.
        score_threshold: Boxes that score no more are not given.
        nms_threshold: Of two boxes of a class that overlap by more, the worse is not given.
    """

    neck: FPNSpec = FPNSpec(finest_stride=4, extra="max_pool")
    norm: NormField = None
    centers: Literal["receptive_field", "corner"] = "receptive_field"
    anchor_size: Positive = 8.0
    aspect_ratios: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.5, 1.0, 2.0)
    hidden: Annotated[tuple[Count, ...], Field(min_length=1)] = (1024, 1024)
    proposals: Count = 1000
    training_proposals: Count = 2000
    sampled_anchors: Count = 256
    sampled_proposals: Count = 512
    score_threshold: Probability = 0.05
    nms_threshold: Probability = 0.5

    def anchor_shapes(self, stride: int) -> list[tuple[float, float]]:
        """Width and height in pixels of the anchors at each place of a level, all of one area."""
        return anchor_shapes([self.anchor_size * stride], self.aspect_ratios, whole=self.centers == "corner")

    def torchvision_model(self, backbone: BackboneSpec) -> str | None:
        sizes = (self.neck, self.norm, self.anchor_size, self.aspect_ratios, self.hidden)
        paper = (FPNSpec(finest_stride=4, extra="max_pool"), None, 8.0, (0.5, 1.0, 2.0), (1024, 1024))
        return "fasterrcnn_resnet50_fpn" if sizes == paper and is_resnet50(backbone) else None

    def trace(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> list[LayerRecord]:
        """The neck's parts, the first stage's on each level, and the second stage's for all proposals of an image.

        In training, for those that the loss draws.
        """
        records = self.neck.trace(backbone, image_size=image_size)
        records += trace_levels(self._first_stage(), self.neck.levels(records), level_by_level=False)
        pooled = self._pooled("pooled", POOLED_SIZE, backbone, records)
        before = pooled.after
        looked = [pooled]
        for name, node in self._second_stage(num_classes).items():
            looked.append(trace(expand(node, before)[0], before, path=("head", name)))
            if name == "hidden":
                before = looked[-1].after
        return records + [replace(one, runs=self.proposals, training_runs=self.sampled_proposals) for one in looked]

    def arguments(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> dict[str, Any]:
        """The layers by the names of `trace`, and what `visionkit.heads.two_stage.faster_rcnn` takes beside them."""
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
        """What is pooled for a box: of the image, its cells see what their box does."""
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
        mask_convs: Convolutions that look at a box before its mask is drawn.
        mask_channels: Of each.
    """

    task: ClassVar[str] = "instance"

    mask_convs: Annotated[int, Field(ge=0, le=16)] = 4
    mask_channels: Count = 256

    def torchvision_model(self, backbone: BackboneSpec) -> str | None:
        same = super().torchvision_model(backbone) is not None and (self.mask_convs, self.mask_channels) == (4, 256)
        return "maskrcnn_resnet50_fpn" if same else None

    def trace(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> list[LayerRecord]:
        """As of Faster R-CNN, and then the masks of all boxes that are given; in training, of all that may be drawn."""
        records = super().trace(backbone, num_classes=num_classes, image_size=image_size)
        neck = [record for record in records if record.path[0] == "neck"]
        pooled = self._pooled("pooled_for_masks", MASK_POOLED_SIZE, backbone, neck)
        masks = trace(expand(self._masks(num_classes), pooled.after)[0], pooled.after, path=("head", "masks"))
        objects = max(self.sampled_proposals // 4, 1)  # of what is drawn, at most (Ren et al. 2015, section 3.1.3)
        return records + [replace(one, runs=self.max_detections, training_runs=objects) for one in (pooled, masks)]

    def arguments(self, backbone: BackboneSpec, *, num_classes: int, image_size: tuple[int, int]) -> dict[str, Any]:
        arguments = super().arguments(backbone, num_classes=num_classes, image_size=image_size)
        return arguments | {"mask_pooled_size": MASK_POOLED_SIZE}

    def _masks(self, num_classes: int) -> Node:
        """Four convolutions, twice the rows and columns, and a mask for each class (He et al. 2017, figure 4)."""
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

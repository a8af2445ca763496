"""Faster R-CNN: torchvision's two stages with visionkit's layers, levels and interface of heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.models.detection.rpn import RegionProposalNetwork

from visionkit.backbones import FeatureInfo
from visionkit.heads.anchors import flatten_predictions
from visionkit.heads.base import Head, Predictions
from visionkit.heads.two_stage.layers import Anchors, BoxLayers, ProposalLayers
from visionkit.heads.two_stage.pooling import RoiPooling, with_images
from visionkit.heads.two_stage.sampling import ImageSampler, seeded
from visionkit.heads.two_stage.selection import Suppress, class_boxes, scatter_rows, select_proposals
from visionkit.losses.sums import LossSums
from visionkit.structures.boxes import batched_nms, top_boxes

__all__ = ["FasterRcnnHead", "MeanLosses", "SampledProposals", "Sizes"]

_LEVEL = "level_"

MeanLosses = dict[str, tuple[Tensor, Tensor | int]]
"""Losses of a batch by name, each a mean () and the number of anchors, proposals or masks that it is taken over."""

Sizes = list[tuple[int, int]]
"""Height and width of each image in pixels, as torchvision takes them."""


@dataclass(frozen=True)
class SampledProposals:
    """The proposals sampled for the second stage's losses.

    Attributes:
        boxes: Per image (n, 4) xyxy in pixels.
        matched: Per image (n,) int64, the index of the object of highest IoU; 0 where the image has none.
        labels: Per image (n,) int64, the class of that object plus 1, or 0 for background.
        sizes: Height and width of the images.
    """

    boxes: list[Tensor]
    matched: list[Tensor]
    labels: list[Tensor]
    sizes: Sizes


class FasterRcnnHead(Head):
    """A region proposal network on every level, and a second stage on its proposals.

    Ren et al. 2015 (arXiv:1506.01497), with a feature pyramid as in Lin et al. 2017 (arXiv:1612.03144, section 4).

    For losses, torchvision's region proposal network and RoI heads assign, sample, decode and suppress, image by image;
    layers, anchor points, pooling and predictions are visionkit's. Class 0 of the second stage is the background, as in
    torchvision, so class ids are shifted by one on the way in and out.

    `forward` runs the first stage; `loss` and `predict` run the second one, on the maps among the outputs.

    Args:
        layers: The torch modules: ``tower``, ``objectness`` and ``deltas`` of the first stage, ``hidden``, ``classes``
            and ``boxes`` of the second.
        levels: The declared channels, stride and offset of each level, fine to coarse.
        num_pooled: The number of levels, the finest first, that the second stage pools from.
        pooled_size: Rows and columns pooled for each proposal.
        corner: Where anchor points lie, see `visionkit.heads.anchors.anchor_points`.
        anchor_shapes: Width and height in pixels of each level's anchors.
        proposals: The largest number of proposals per image, and of anchors per level that they are chosen from.
        training_proposals: The same in training.
        sampled_anchors: Anchors per image sampled for the first stage's losses.
        sampled_proposals: Proposals per image sampled for the second stage's losses.
        score_threshold: Boxes with scores up to this are discarded.
        nms_threshold: Of two boxes of a class with an IoU above this, the worse is suppressed.
        max_detections: The largest number of boxes predicted per image.

    Attributes:
        suppress: `visionkit.structures.boxes.batched_nms`, or another function of its arguments.
        suppress_proposals: The same for proposals.
    """

    def __init__(
        self,
        layers: Mapping[str, nn.Module],
        *,
        levels: Mapping[str, FeatureInfo],
        num_pooled: int,
        pooled_size: int,
        corner: bool,
        anchor_shapes: Sequence[Sequence[tuple[float, float]]],
        proposals: int,
        training_proposals: int,
        sampled_anchors: int,
        sampled_proposals: int,
        score_threshold: float,
        nms_threshold: float,
        max_detections: int,
    ) -> None:
        super().__init__()
        self.levels, self.num_proposals, self.max_detections = dict(levels), proposals, max_detections
        self.score_threshold, self.nms_threshold = score_threshold, nms_threshold
        self.suppress: Suppress = batched_nms
        self.suppress_proposals: Suppress = batched_nms
        self.num_anchors = len(anchor_shapes[0])
        num_proposals = {"training": training_proposals, "testing": proposals}
        self.rpn = RegionProposalNetwork(
            Anchors(self.levels, anchor_shapes, corner=corner),
            ProposalLayers(layers["tower"], layers["objectness"], layers["deltas"]),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=sampled_anchors,
            positive_fraction=0.5,
            pre_nms_top_n=num_proposals,
            post_nms_top_n=num_proposals,
            nms_thresh=0.7,
        )
        self.roi_heads = RoIHeads(
            RoiPooling(list(levels.values())[:num_pooled], corner=corner, size=pooled_size),
            layers["hidden"],
            BoxLayers(layers["classes"], layers["boxes"]),
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=sampled_proposals,
            positive_fraction=0.25,
            bbox_reg_weights=None,
            score_thresh=score_threshold,
            nms_thresh=nms_threshold,
            detections_per_img=max_detections,
        )
        self._samplers = [ImageSampler(part.fg_bg_sampler) for part in (self.rpn, self.roi_heads)]
        self.rpn.fg_bg_sampler, self.roi_heads.fg_bg_sampler = self._samplers

    def forward(self, features: Mapping[str, Tensor], image_size: tuple[int, int]) -> dict[str, Tensor]:
        """The outputs of the first stage; A counts all anchors of all levels.

        Args:
            features: The levels (B, C, H, W), fine to coarse.
            image_size: Height and width in pixels of the batch's images.

        Returns:
            ``logits`` (B, A, 1) of any object, ``deltas`` (B, A, 4), ``anchors`` (A, 4) float32 xyxy in pixels,
            ``image_size`` (2,) int64, and for each level ``level_NAME`` (B, C, H, W), its input map.
        """
        maps = [features[level] for level in self.levels]
        logits, deltas = self.rpn.head(maps)
        return {
            "logits": torch.cat([flatten_predictions(x, 1) for x in logits], dim=1),
            "deltas": torch.cat([flatten_predictions(x, 4) for x in deltas], dim=1),
            "anchors": self.rpn.anchor_generator(maps, image_size),
            "image_size": torch.tensor(image_size, device=maps[0].device),
            **{_LEVEL + name: x for name, x in zip(self.levels, maps, strict=True)},
        }

    def loss(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Losses ``objectness`` and ``proposals`` of the first stage, ``classification`` and ``boxes`` of the second.

        Anchors and proposals are sampled at random (Ren et al. 2015, section 3.1.3), outside training with a seed of
        each image, so that evaluations of one model agree, however images are batched.

        Args:
            outputs: The return value of `forward`.
            targets: ``boxes`` (B, M, 4) float32 xyxy in pixels and ``labels`` (B, M) int64, -1 for padding,
                ``image_sizes`` (B, 2) int64 where some images are padded, and ``index`` (B,) int64, the seeds.
        """
        return {name: mean for name, (mean, _) in self._mean_losses(outputs, targets).items()}

    def loss_sums(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, LossSums]:
        """The sums over sampled anchors, proposals and masks; see `visionkit.heads.base.Head.loss_sums`."""
        return {name: LossSums.of_mean(*pair) for name, pair in self._mean_losses(outputs, targets).items()}

    def _mean_losses(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> MeanLosses:
        objects = [
            {"boxes": boxes[labels >= 0], "labels": labels[labels >= 0] + 1}
            for boxes, labels in zip(targets["boxes"], targets["labels"], strict=True)
        ]
        logits, deltas, anchors = _first_stage(outputs)
        sizes = _sizes(outputs, targets.get("image_sizes"))
        seeds = targets.get("index", torch.arange(len(logits)))
        with seeded(self._samplers, None if self.training else seeds.tolist(), device=logits.device):
            labels, matched = self.rpn.assign_targets_to_anchors(anchors, objects)
            target_deltas = self.rpn.box_coder.encode(matched, anchors)
            objectness, proposal_loss = self.rpn.compute_loss(logits, deltas.flatten(0, 1), labels, target_deltas)
            proposals = self._proposals(outputs, sizes)
            sampled, matched, labels, target_deltas = self.roi_heads.select_training_samples(proposals, objects)
        classification, box_loss = fastrcnn_loss(
            *self._second_stage(outputs, *with_images(sampled)), labels, target_deltas
        )
        num_anchors, num_proposals = self._samplers[0].num_sampled, sum(map(len, sampled))
        losses: MeanLosses = {
            "objectness": (objectness, num_anchors),
            "proposals": (proposal_loss, num_anchors),
            "classification": (classification, num_proposals),
            "boxes": (box_loss, num_proposals),
        }
        return losses | self.extra_losses(outputs, targets, SampledProposals(sampled, matched, labels, sizes))

    @torch.no_grad()
    def predict(self, outputs: Mapping[str, Tensor], image_sizes: Tensor | None = None) -> Predictions:
        """The detections of each image, by descending score.

        Args:
            outputs: The return value of `forward`.
            image_sizes: (B, 2) int64 heights and widths without padding; boxes are clipped to them.

        Returns:
            ``boxes`` (B, D, 4) float32 xyxy in pixels of the batch, ``scores`` (B, D) float32 in 0..1 and ``labels``
            (B, D) int64 with D = ``max_detections``; an image with fewer is padded with labels -1 and zeros.
        """
        if image_sizes is None:
            image_sizes = outputs["image_size"].expand(outputs["logits"].shape[0], 2)
        boxes, scores, labels = self._class_boxes(outputs, image_sizes)
        keep = self.suppress(boxes, scores, labels, iou_threshold=self.nms_threshold)
        boxes, scores, labels = top_boxes(boxes, scores, labels, keep, count=self.max_detections)
        predictions = {"boxes": boxes, "scores": scores.float(), "labels": labels}
        return predictions | self.extra_predictions(outputs, boxes, labels)

    def exported_outputs(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``logits`` and ``deltas`` of the first stage; what else `predict` needs is maps and anchors."""
        return {name: outputs[name] for name in ("logits", "deltas")}

    def maps(self, outputs: Mapping[str, Tensor]) -> list[Tensor]:
        """The levels (B, C, H, W) among the outputs, fine to coarse."""
        return [outputs[_LEVEL + name] for name in self.levels]

    def extra_losses(
        self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], sampled: SampledProposals
    ) -> MeanLosses:
        """Losses of a subclass with further branches on the sampled proposals; empty here."""
        return {}

    def extra_predictions(self, outputs: Mapping[str, Tensor], boxes: Tensor, labels: Tensor) -> Predictions:
        """Predictions of a subclass for the detected boxes (B, D, 4) of classes (B, D), -1 for padding; empty here."""
        return {}

    def _proposals(self, outputs: Mapping[str, Tensor], sizes: Sizes) -> list[Tensor]:
        logits, deltas, anchors = _first_stage(outputs)
        decoded = self.rpn.box_coder.decode(deltas.detach().flatten(0, 1), anchors).view(len(sizes), -1, 4)
        sizes_per_level = self._level_sizes(outputs)
        proposals: list[Tensor] = self.rpn.filter_proposals(decoded, logits.flatten(1), sizes, sizes_per_level)[0]
        return proposals

    def _level_sizes(self, outputs: Mapping[str, Tensor]) -> list[int]:
        """The number of anchors of each level."""
        return [self.num_anchors * x.shape[-2] * x.shape[-1] for x in self.maps(outputs)]

    def _class_boxes(self, outputs: Mapping[str, Tensor], image_sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The box, score and label of each proposal and class: (B, P * K, 4), (B, P * K) and (B, P * K)."""
        proposals, present = select_proposals(
            outputs["logits"].float(), outputs["deltas"].float(), outputs["anchors"], image_sizes,
            level_sizes=self._level_sizes(outputs), count=self.num_proposals, suppress=self.suppress_proposals,
        )  # fmt: skip
        images, rows = torch.where(present)  # the second stage looks at these alone
        chosen = proposals[images, rows]
        logits, deltas = self._second_stage(outputs, chosen, images)
        boxes, scores, labels = class_boxes(
            logits, deltas, chosen, image_sizes[images], score_threshold=self.score_threshold
        )
        return (
            scatter_rows(boxes, present).flatten(1, 2),
            scatter_rows(scores, present).flatten(1),
            scatter_rows(labels, present, fill=-1).flatten(1),
        )

    def _second_stage(self, outputs: Mapping[str, Tensor], boxes: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, K + 1) and deltas (N, 4 * (K + 1)) of N boxes (N, 4) of images (N,)."""
        pooled = self.roi_heads.box_roi_pool(self.maps(outputs), boxes, images)
        logits, deltas = self.roi_heads.box_predictor(self.roi_heads.box_head(pooled))
        return logits.float(), deltas.float()


def _first_stage(outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Logits (B, A, 1), deltas (B, A, 4), and the anchors (A, 4) repeated for each image."""
    logits, deltas = outputs["logits"].float(), outputs["deltas"].float()
    return logits, deltas, [outputs["anchors"]] * len(logits)


def _sizes(outputs: Mapping[str, Tensor], image_sizes: Tensor | None) -> Sizes:
    if image_sizes is None:
        image_sizes = outputs["image_size"].expand(outputs["logits"].shape[0], 2)
    return [(height, width) for height, width in image_sizes.tolist()]

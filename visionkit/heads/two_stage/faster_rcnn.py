"""Faster R-CNN: torchvision's two stages with visionkit's layers, levels and interface of heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.models.detection.rpn import RegionProposalNetwork

from visionkit.backbones import FeatureInfo
from visionkit.heads.anchors import anchor_points, flatten_predictions
from visionkit.heads.base import Head, Predictions
from visionkit.heads.two_stage.pooling import RoiPooling
from visionkit.heads.two_stage.sampling import ImageSampler, seeded
from visionkit.losses.sums import LossSums

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

    torchvision's region proposal network and RoI heads assign, sample, decode and suppress, image by image; layers,
    anchor points and pooling are visionkit's. torchvision's class 0 is the background, so class ids are shifted by one
    on the way in and out.

    `forward` runs the first stage; `loss` and `predict` run the second one, on the maps among the outputs.

    Args:
        layers: The torch modules: ``tower``, ``objectness`` and ``deltas`` of the first stage, ``hidden``, ``classes``
            and ``boxes`` of the second.
        levels: The declared channels, stride and offset of each level, fine to coarse.
        num_pooled: The number of levels, the finest first, that the second stage pools from.
        pooled_size: Rows and columns pooled for each proposal.
        corner: Where anchor points lie, see `visionkit.heads.anchors.anchor_points`.
        anchor_shapes: Width and height in pixels of each level's anchors.
        proposals: The largest number of proposals per image.
        training_proposals: The same in training.
        sampled_anchors: Anchors per image sampled for the first stage's losses.
        sampled_proposals: Proposals per image sampled for the second stage's losses.
        score_threshold: Boxes with scores up to this are discarded.
        nms_threshold: Of two boxes of a class with an IoU above this, the worse is suppressed.
        max_detections: The largest number of boxes predicted per image.
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
        self.levels, self.max_detections = dict(levels), max_detections
        self.num_anchors = len(anchor_shapes[0])
        num_proposals = {"training": training_proposals, "testing": proposals}
        self.rpn = RegionProposalNetwork(
            _Anchors(self.levels, anchor_shapes, corner=corner),
            _ProposalLayers(layers["tower"], layers["objectness"], layers["deltas"]),
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
            _BoxLayers(layers["classes"], layers["boxes"]),
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
        classification, box_loss = fastrcnn_loss(*self._second_stage(outputs, sampled, sizes), labels, target_deltas)
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
        sizes = _sizes(outputs, image_sizes)
        proposals = self._proposals(outputs, sizes)
        refined = self._second_stage(outputs, proposals, sizes)
        self.roi_heads.detections_per_img = self.max_detections
        boxes, scores, labels = self.roi_heads.postprocess_detections(*refined, proposals, sizes)
        extra = self.extra_predictions(outputs, boxes, labels, sizes)
        predictions = {"boxes": self._pad(boxes), "scores": self._pad(scores), "labels": self._pad(labels) - 1}
        return predictions | {name: self._pad(values) for name, values in extra.items()}

    def maps(self, outputs: Mapping[str, Tensor]) -> list[Tensor]:
        """The levels (B, C, H, W) among the outputs, fine to coarse."""
        return [outputs[_LEVEL + name] for name in self.levels]

    def extra_losses(
        self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], sampled: SampledProposals
    ) -> MeanLosses:
        """Losses of a subclass with further branches on the sampled proposals; empty here."""
        return {}

    def extra_predictions(
        self, outputs: Mapping[str, Tensor], boxes: list[Tensor], labels: list[Tensor], sizes: Sizes
    ) -> dict[str, list[Tensor]]:
        """Predictions of a subclass for the detected boxes (n, 4) of class ``labels - 1``: rows per image by name."""
        return {}

    def _proposals(self, outputs: Mapping[str, Tensor], sizes: Sizes) -> list[Tensor]:
        logits, deltas, anchors = _first_stage(outputs)
        decoded = self.rpn.box_coder.decode(deltas.detach().flatten(0, 1), anchors).view(len(sizes), -1, 4)
        anchors_per_level = [self.num_anchors * x.shape[-2] * x.shape[-1] for x in self.maps(outputs)]
        proposals: list[Tensor] = self.rpn.filter_proposals(decoded, logits.flatten(1), sizes, anchors_per_level)[0]
        return proposals

    def _second_stage(
        self, outputs: Mapping[str, Tensor], proposals: list[Tensor], sizes: Sizes
    ) -> tuple[Tensor, Tensor]:
        pooled = self.roi_heads.box_roi_pool(self.maps(outputs), proposals, sizes)
        logits, deltas = self.roi_heads.box_predictor(self.roi_heads.box_head(pooled))
        return logits.float(), deltas.float()

    def _pad(self, values: list[Tensor]) -> Tensor:
        """A tensor (B, D, ...) of the rows of each image, padded with zeros."""
        longest = values[0].new_zeros(self.max_detections, *values[0].shape[1:])
        return pad_sequence([*values, longest], batch_first=True)[:-1]


class _Anchors(nn.Module):
    """The anchors of all levels, (A, 4) float32 xyxy in pixels."""

    def __init__(
        self,
        levels: Mapping[str, FeatureInfo],
        anchor_shapes: Sequence[Sequence[tuple[float, float]]],
        *,
        corner: bool,
    ) -> None:
        super().__init__()
        self.levels, self.shapes, self.corner = list(levels.values()), anchor_shapes, corner

    def forward(self, maps: Sequence[Tensor], image_size: tuple[int, int]) -> Tensor:
        anchors = []
        for level, shapes, x in zip(self.levels, self.shapes, maps, strict=True):
            points = anchor_points(level, x, image_size, corner=self.corner)[:, :, None]  # (H, W, 1, 2)
            half = torch.tensor(shapes, device=x.device) / 2  # (n, 2)
            anchors.append(torch.cat([points - half, points + half], dim=-1).flatten(0, 2))
        return torch.cat(anchors)


class _ProposalLayers(nn.Module):
    """The first stage's layers, shared by all levels."""

    def __init__(self, tower: nn.Module, objectness: nn.Module, deltas: nn.Module) -> None:
        super().__init__()
        self.tower, self.objectness, self.deltas = tower, objectness, deltas

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        hidden = [self.tower(x) for x in maps]
        return [self.objectness(x) for x in hidden], [self.deltas(x) for x in hidden]


class _BoxLayers(nn.Module):
    """The second stage's last layers."""

    def __init__(self, classes: nn.Module, boxes: nn.Module) -> None:
        super().__init__()
        self.classes, self.boxes = classes, boxes

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.classes(x), self.boxes(x)


def _first_stage(outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Logits (B, A, 1), deltas (B, A, 4), and the anchors (A, 4) repeated for each image."""
    logits, deltas = outputs["logits"].float(), outputs["deltas"].float()
    return logits, deltas, [outputs["anchors"]] * len(logits)


def _sizes(outputs: Mapping[str, Tensor], image_sizes: Tensor | None) -> Sizes:
    if image_sizes is None:
        image_sizes = outputs["image_size"].expand(len(outputs["logits"]), 2)
    return [(height, width) for height, width in image_sizes.tolist()]

"""Faster R-CNN: torchvision's two stages on our layers and levels, behind our contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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

__all__ = [
    "SampledProposals",
    "FasterRcnnHead",
]

_LEVEL = "level_"
Sizes = list[tuple[int, int]]
"""Height and width of each image, as torchvision wants them."""


@dataclass(frozen=True)
class SampledProposals:
    """The proposals that the second stage's losses draw.

    Attributes:
        boxes: Per image (n, 4) xyxy pixels.
        matched: Per image (n,) int64, which of the image's objects each is nearest to; 0 where there are none.
        labels: Per image (n,) int64, that object's class + 1, or 0 for background.
        sizes: Height and width of the images.
    """

    boxes: list[Tensor]
    matched: list[Tensor]
    labels: list[Tensor]
    sizes: Sizes


class FasterRcnnHead(Head):
    """Boxes proposed on every level, and a second look at each (Ren et al. 2015; Lin et al. 2017, section 4).

    torchvision's region proposal network and RoI heads assign, sample, decode and suppress, one image after the
    other. What is ours is the layers, where anchors stand and from where features are pooled, and the border: to
    torchvision class 0 is the background, so class ids are shifted by one on the way in and out.

    `forward` ends with the first stage; `loss` and `predict` run the second one, on the maps among the outputs.

    Args:
        layers: The torch modules: ``tower``, ``objectness`` and ``deltas`` of the first stage, ``hidden``, ``classes``
            and ``boxes`` of the second.
        levels: What each level gives, fine to coarse.
        num_pooled: From how many of the levels, the finest first, the second stage pools.
        pooled_size: Rows and columns that are pooled for each proposal.
        corner: Whether cell i stands at i times the whole number of image pixels per cell, as in torchvision.
        anchor_shapes: Width and height in pixels of each level's anchors.
        proposals: How many the first stage makes per image, at most.
        training_proposals: The same in training.
        sampled_anchors: How many of an image's anchors the first stage's loss draws.
        sampled_proposals: How many of an image's proposals the second stage's loss draws.
        score_threshold: Boxes that score no more are not given.
        nms_threshold: Of two boxes of a class that overlap by more, the worse is not given.
        max_detections: How many boxes are given per image, at most.
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
        kept = {"training": training_proposals, "testing": proposals}
        self.rpn = RegionProposalNetwork(
            _Anchors(self.levels, anchor_shapes, corner=corner),
            _ProposalLayers(layers["tower"], layers["objectness"], layers["deltas"]),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=sampled_anchors,
            positive_fraction=0.5,
            pre_nms_top_n=kept,
            post_nms_top_n=kept,
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

    def forward(self, features: Mapping[str, Tensor], image_size: tuple[int, int]) -> dict[str, Tensor]:
        """The first stage; A counts all anchors of all levels.

        Args:
            features: The levels (B, C, H, W), fine to coarse.
            image_size: Height and width in pixels of the batch's images.

        Returns:
            ``logits`` (B, A, 1) that there is any object, ``deltas`` (B, A, 4), ``anchors`` (A, 4) float32 xyxy
            pixels, ``image_size`` (2,) int64, and for each level ``level_NAME`` (B, C, H, W), the map that came in.
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
        """Of the first stage ``objectness`` and ``proposals``, of the second one ``classification`` and ``boxes``.

        Anchors and proposals are drawn at random (Ren et al. 2015, section 3.1.3); outside training always in the
        same way, so that two validations of one model agree.

        Args:
            outputs: What `forward` returned.
            targets: ``boxes`` (B, M, 4) float32 xyxy in pixels and ``labels`` (B, M) int64, -1 where there is none,
                and ``image_sizes`` (B, 2) int64 where some images are padded.
        """
        truth = [
            {"boxes": boxes[labels >= 0], "labels": labels[labels >= 0] + 1}
            for boxes, labels in zip(targets["boxes"], targets["labels"], strict=True)
        ]
        logits, deltas, anchors = _first_stage(outputs)
        sizes = _sizes(outputs, targets.get("image_sizes"))
        with _same_draws(on=logits.device, wanted=not self.training):
            labels, matched = self.rpn.assign_targets_to_anchors(anchors, truth)
            moves = self.rpn.box_coder.encode(matched, anchors)
            objectness, proposed = self.rpn.compute_loss(logits, deltas.flatten(0, 1), labels, moves)
            proposals = self._proposals(outputs, sizes)
            chosen, matched, labels, moves = self.roi_heads.select_training_samples(proposals, truth)
        classification, boxes = fastrcnn_loss(*self._second_stage(outputs, chosen, sizes), labels, moves)
        losses = {"objectness": objectness, "proposals": proposed, "classification": classification, "boxes": boxes}
        return losses | self.more_losses(outputs, targets, SampledProposals(chosen, matched, labels, sizes))

    @torch.no_grad()
    def predict(self, outputs: Mapping[str, Tensor], image_sizes: Tensor | None = None) -> Predictions:
        """The best boxes of each image, the surest first.

        Args:
            outputs: What `forward` returned.
            image_sizes: (B, 2) int64 heights and widths without padding; boxes are cut off there.

        Returns:
            ``boxes`` (B, D, 4) float32 xyxy in pixels of the batch, ``scores`` (B, D) and ``labels`` (B, D) int64,
            -1 and zeros where an image has fewer than ``max_detections`` = D.
        """
        sizes = _sizes(outputs, image_sizes)
        proposals = self._proposals(outputs, sizes)
        found = self.roi_heads.postprocess_detections(*self._second_stage(outputs, proposals, sizes), proposals, sizes)
        boxes, scores, labels = (self._padded(values) for values in found)
        predictions = {"boxes": boxes, "scores": scores, "labels": labels - 1}
        more = self.more_predictions(outputs, found[0], found[2], sizes)
        return predictions | {name: self._padded(values) for name, values in more.items()}

    def maps(self, outputs: Mapping[str, Tensor]) -> list[Tensor]:
        """The levels (B, C, H, W) among the outputs, fine to coarse."""
        return [outputs[_LEVEL + name] for name in self.levels]

    def more_losses(
        self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], drawn: SampledProposals
    ) -> dict[str, Tensor]:
        """What a head that says more than boxes of a proposal is to learn of it; nothing here."""
        return {}

    def more_predictions(
        self, outputs: Mapping[str, Tensor], boxes: list[Tensor], labels: list[Tensor], sizes: Sizes
    ) -> dict[str, list[Tensor]]:
        """What such a head says of the boxes found, (n, 4) per image, of class ``labels - 1``: rows per image."""
        return {}

    def _proposals(self, outputs: Mapping[str, Tensor], sizes: Sizes) -> list[Tensor]:
        logits, deltas, anchors = _first_stage(outputs)
        decoded = self.rpn.box_coder.decode(deltas.detach().flatten(0, 1), anchors).view(len(sizes), -1, 4)
        numbers = [self.num_anchors * x.shape[-2] * x.shape[-1] for x in self.maps(outputs)]
        proposals: list[Tensor] = self.rpn.filter_proposals(decoded, logits.flatten(1), sizes, numbers)[0]
        return proposals

    def _second_stage(
        self, outputs: Mapping[str, Tensor], proposals: list[Tensor], sizes: Sizes
    ) -> tuple[Tensor, Tensor]:
        pooled = self.roi_heads.box_roi_pool(self.maps(outputs), proposals, sizes)
        logits, deltas = self.roi_heads.box_predictor(self.roi_heads.box_head(pooled))
        return logits.float(), deltas.float()

    def _padded(self, values: list[Tensor]) -> Tensor:
        """Rows of differing length as one tensor (B, D, ...), zeros behind each."""
        room = values[0].new_zeros(self.max_detections, *values[0].shape[1:])
        return pad_sequence([*values, room], batch_first=True)[:-1]


class _Anchors(nn.Module):
    """The anchors of all places of all levels, (A, 4) float32 xyxy in pixels."""

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
            middle = anchor_points(level, x, image_size, corner=self.corner)[:, :, None]  # (H, W, 1, 2)
            half = torch.tensor(shapes, device=x.device) / 2  # (n, 2)
            anchors.append(torch.cat([middle - half, middle + half], dim=-1).flatten(0, 2))
        return torch.cat(anchors)


class _ProposalLayers(nn.Module):
    """The first stage's layers, the same on every level."""

    def __init__(self, tower: nn.Module, objectness: nn.Module, deltas: nn.Module) -> None:
        super().__init__()
        self.tower, self.objectness, self.deltas = tower, objectness, deltas

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        seen = [self.tower(x) for x in maps]
        return [self.objectness(x) for x in seen], [self.deltas(x) for x in seen]


class _BoxLayers(nn.Module):
    """The second stage's last layers."""

    def __init__(self, classes: nn.Module, boxes: nn.Module) -> None:
        super().__init__()
        self.classes, self.boxes = classes, boxes

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.classes(x), self.boxes(x)


def _first_stage(outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Logits (B, A, 1), deltas (B, A, 4), and the anchors once per image."""
    logits, deltas = outputs["logits"].float(), outputs["deltas"].float()
    return logits, deltas, [outputs["anchors"]] * len(logits)


def _sizes(outputs: Mapping[str, Tensor], image_sizes: Tensor | None) -> Sizes:
    if image_sizes is None:
        image_sizes = outputs["image_size"].expand(len(outputs["logits"]), 2)
    return [(height, width) for height, width in image_sizes.tolist()]


@contextmanager
def _same_draws(*, on: torch.device, wanted: bool) -> Iterator[None]:
    """Draw the same random numbers each time, and leave the generators as they were."""
    if not wanted:
        yield
        return
    with torch.random.fork_rng([on] if on.type == "cuda" else []):
        torch.manual_seed(0)
        yield

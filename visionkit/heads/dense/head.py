"""What dense detectors share: the same layers on every level, and the best of all places as detections."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from visionkit.backbones import FeatureInfo
from visionkit.heads.anchors import anchor_points
from visionkit.heads.base import Head, Predictions
from visionkit.structures.boxes import batched_nms, clip_boxes

__all__ = [
    "DenseHead",
    "matched_targets",
]

_CENTERS = "centers_"


class DenseHead(Head):
    """Layers that judge every place of every level, A in all.

    Outputs hold ``logits`` (B, A, K), what else the layers say (B, A, ...), and for each level ``centers_LEVEL``
    (H, W, 2): x and y in pixels of the middle of each place, float32. Of images of 64x64 pixels the levels
    ``stride8`` and ``stride16`` of a head with one anchor per place have ``A = 8 * 8 + 4 * 4``.

    Args:
        layers: The torch modules: ``classification``, ``regression``, ``logits``, and what the head has beside them.
        levels: What each level gives, fine to coarse.
        corner: Whether cell i stands at i times the whole number of image pixels per cell, as in torchvision.
        num_anchors: Of each point.
        alpha: The focal loss's weight of objects.
        gamma: How much the focal loss weights easy points down.
        score_threshold: Boxes that score no more are not given.
        nms_threshold: Of two boxes of a class that overlap by more, the worse is not given.
        candidates: How many boxes of each level are looked at, at most.
        max_detections: How many boxes are given per image, at most.
    """

    def __init__(
        self,
        layers: Mapping[str, nn.Module],
        *,
        levels: Mapping[str, FeatureInfo],
        corner: bool,
        num_anchors: int,
        alpha: float,
        gamma: float,
        score_threshold: float,
        nms_threshold: float,
        candidates: int,
        max_detections: int,
    ) -> None:
        super().__init__()
        self.levels = dict(levels)
        self.corner, self.num_anchors, self.alpha, self.gamma = corner, num_anchors, alpha, gamma
        self.score_threshold, self.nms_threshold = score_threshold, nms_threshold
        self.candidates, self.max_detections = candidates, max_detections
        for name, layer in layers.items():
            self.add_module(name, layer)

    classification: nn.Module
    regression: nn.Module
    logits: nn.Module

    @abstractmethod
    def forward_level(self, x: Tensor) -> dict[str, Tensor]:
        """What the layers say of one level's map (B, C, H, W): each (B, H * W * anchors, ...), ``logits`` first."""

    @abstractmethod
    def scores(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """How sure each place is of each class: (B, A, K) in 0..1, float32."""

    @abstractmethod
    def decode(self, outputs: Mapping[str, Tensor], places: Tensor) -> Tensor:
        """The boxes (B, N, 4), xyxy in pixels, that the chosen places (B, N) int64 say."""

    def forward(self, features: Mapping[str, Tensor], image_size: tuple[int, int]) -> dict[str, Tensor]:
        """Raw outputs of all places; see the class.

        Args:
            features: The levels (B, C, H, W), fine to coarse.
            image_size: Height and width in pixels of the batch's images.
        """
        maps = [features[level] for level in self.levels]
        said = [self.forward_level(x) for x in maps]
        outputs = {name: torch.cat([one[name] for one in said], dim=1) for name in said[0]}
        for level, x in zip(self.levels.values(), maps, strict=True):
            outputs[_CENTERS + level.name] = anchor_points(level, x, image_size, corner=self.corner)
        return outputs

    def centers(self, outputs: Mapping[str, Tensor]) -> list[Tensor]:
        """The middles of the places, per level (H, W, 2): x and y in pixels."""
        return [outputs[_CENTERS + level] for level in self.levels]

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
        scores, places, labels = self._candidates(self.scores(outputs), self.centers(outputs))
        boxes = self.decode(outputs, places)
        if image_sizes is not None:
            boxes = clip_boxes(boxes, image_sizes)
        labels = torch.where(scores > self.score_threshold, labels, -1)
        stays = batched_nms(boxes, scores, labels, iou_threshold=self.nms_threshold)
        wanted = self.max_detections
        scores, best = scores.masked_fill(~stays, 0).topk(min(wanted, scores.shape[1]))
        there = stays.gather(1, best)
        boxes = boxes.gather(1, best[..., None].expand(-1, -1, 4)) * there[..., None]
        labels = torch.where(there, labels.gather(1, best), -1)
        room = wanted - scores.shape[1]
        return {
            "boxes": F.pad(boxes, (0, 0, 0, room)),
            "scores": F.pad(scores, (0, room)),
            "labels": F.pad(labels, (0, room), value=-1),
        }

    def _candidates(self, scores: Tensor, centers: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The best pairs of place and class of each level: scores, places and labels, each (B, N)."""
        found = []
        start = 0
        sizes = [len(one.flatten(0, 1)) * self.num_anchors for one in centers]
        for level in torch.split(scores, sizes, dim=1):  # type: ignore[no-untyped-call]
            best = level.amax(dim=2).topk(min(self.candidates, level.shape[1]), sorted=False).indices  # (B, P)
            few = level.gather(1, best[..., None].expand(-1, -1, level.shape[2])).flatten(1)  # (B, P * K)
            top, pairs = few.topk(min(self.candidates, few.shape[1]))
            places = best.gather(1, pairs // level.shape[2])
            found.append((top, start + places, pairs % level.shape[2]))
            start += level.shape[1]
        return tuple(torch.cat(parts, dim=1) for parts in zip(*found, strict=True))  # type: ignore[return-value]


def matched_targets(targets: Mapping[str, Tensor], matched: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """What each place is to say.

    Args:
        targets: ``boxes`` (B, M, 4) and ``labels`` (B, M) int64.
        matched: (B, A) int64 index of each place's object, below 0 where it has none.
        anchors: (A, 4), given as the box where there is no object, so that no arithmetic on it fails.

    Returns:
        Boxes (B, A, 4) float32, and labels (B, A) int64 with ``matched`` itself where there is no object.
    """
    index = matched.clamp(min=0)
    boxes = targets["boxes"].float().gather(1, index[..., None].expand(-1, -1, 4))
    labels = targets["labels"].gather(1, index)
    return torch.where((matched >= 0)[..., None], boxes, anchors), torch.where(matched >= 0, labels, matched)

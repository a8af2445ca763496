"""The base of dense detectors: shared layers on every level, and selection of detections among all anchors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from visionkit.backbones import FeatureInfo
from visionkit.heads.anchors import anchor_points
from visionkit.heads.base import Head, Predictions
from visionkit.losses.sums import LossSums
from visionkit.structures.boxes import batched_nms, clip_boxes, top_boxes

__all__ = ["DenseHead", "matched_targets"]

_CENTERS = "centers_"


class DenseHead(Head):
    """Predicts a class and a box for each of the A anchors of all levels.

    Outputs are ``logits`` (B, A, K), those of the subclass (B, A, ...), and for each level ``centers_LEVEL``
    (H, W, 2) float32: x and y of its anchor points in pixels. For images of 64x64 pixels, the levels ``stride8`` and
    ``stride16`` of a head with one anchor per point have ``A = 8 * 8 + 4 * 4``.

    Args:
        layers: The torch modules: ``classification``, ``regression``, ``logits``, and those of the subclass.
        levels: The declared channels, stride and offset of each level, fine to coarse.
        corner: Where anchor points lie, see `visionkit.heads.anchors.anchor_points`.
        num_anchors: Anchors per point.
        alpha: The focal loss's weight of objects.
        gamma: The focal loss's focusing parameter.
        score_threshold: Boxes with scores up to this are discarded.
        nms_threshold: Of two boxes of a class with an IoU above this, the worse is suppressed.
        candidates: The largest number of boxes per level before suppression.
        max_detections: The largest number of boxes predicted per image.

    Attributes:
        suppress: `visionkit.structures.boxes.batched_nms`, or another function of its arguments.
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
        self.suppress: Callable[..., Tensor] = batched_nms
        for name, layer in layers.items():
            self.add_module(name, layer)

    classification: nn.Module
    regression: nn.Module
    logits: nn.Module

    @abstractmethod
    def forward_level(self, x: Tensor) -> dict[str, Tensor]:
        """The outputs for one level's map (B, C, H, W), each (B, H * W * num_anchors, ...), ``logits`` first."""

    @abstractmethod
    def loss_sums(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, LossSums]:
        """The losses as sums over images; see the subclass."""

    def loss(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The scalars of `loss_sums`, of one batch.

        Args:
            outputs: The return value of `forward`.
            targets: ``boxes`` (B, M, 4) float32 xyxy in pixels and ``labels`` (B, M) int64, -1 for padding.
        """
        return {name: sums.value() for name, sums in self.loss_sums(outputs, targets).items()}

    @abstractmethod
    def scores(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """The scores of all anchors and classes: (B, A, K) float32 in 0..1."""

    @abstractmethod
    def decode(self, outputs: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        """The boxes (B, N, 4) float32, xyxy in pixels, predicted by the anchors at ``indices`` (B, N) int64."""

    def forward(self, features: Mapping[str, Tensor], image_size: tuple[int, int]) -> dict[str, Tensor]:
        """Raw outputs of all anchors; see the class.

        Args:
            features: The levels (B, C, H, W), fine to coarse.
            image_size: Height and width in pixels of the batch's images.
        """
        maps = [features[level] for level in self.levels]
        per_level = [self.forward_level(x) for x in maps]
        outputs = {name: torch.cat([level[name] for level in per_level], dim=1) for name in per_level[0]}
        for level, x in zip(self.levels.values(), maps, strict=True):
            outputs[_CENTERS + level.name] = anchor_points(level, x, image_size, corner=self.corner)
        return outputs

    def exported_outputs(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All but the anchor points, which depend on the size of the images alone."""
        return {name: value for name, value in outputs.items() if not name.startswith(_CENTERS)}

    def centers(self, outputs: Mapping[str, Tensor]) -> list[Tensor]:
        """The anchor points of each level, (H, W, 2) float32: x and y in pixels."""
        return [outputs[_CENTERS + level] for level in self.levels]

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
        scores, indices, labels = self._top_candidates(self.scores(outputs), self.centers(outputs))
        boxes = self.decode(outputs, indices)
        if image_sizes is not None:
            boxes = clip_boxes(boxes, image_sizes)
        labels = torch.where(scores > self.score_threshold, labels, -1)
        keep = self.suppress(boxes, scores, labels, iou_threshold=self.nms_threshold)
        boxes, scores, labels = top_boxes(boxes, scores, labels, keep, count=self.max_detections)
        return {"boxes": boxes, "scores": scores, "labels": labels}

    def _top_candidates(self, scores: Tensor, centers: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The best pairs of anchor and class of each level: scores, anchor indices and labels, each (B, N)."""
        candidates = []
        start = 0
        sizes = [points.shape[0] * points.shape[1] * self.num_anchors for points in centers]
        for level in torch.split(scores, sizes, dim=1):  # type: ignore[no-untyped-call]
            best = (
                level.amax(dim=2).topk(torch.sym_min(self.candidates, level.shape[1]), sorted=False).indices
            )  # (B, P)
            pairs = level.gather(1, best[..., None].expand(-1, -1, level.shape[2])).flatten(1)  # (B, P * K)
            top, pair_indices = pairs.topk(torch.sym_min(self.candidates, pairs.shape[1]))
            indices = best.gather(1, pair_indices // level.shape[2])
            candidates.append((top, start + indices, pair_indices % level.shape[2]))
            start += level.shape[1]
        return tuple(torch.cat(parts, dim=1) for parts in zip(*candidates, strict=True))  # type: ignore[return-value]


def matched_targets(targets: Mapping[str, Tensor], matched: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """The target box and label of each anchor.

    Args:
        targets: ``boxes`` (B, M, 4) xyxy in pixels and ``labels`` (B, M) int64.
        matched: (B, A) int64, the index of each anchor's box, below 0 where it has none.
        anchors: (A, 4), the boxes of anchors without a target: any valid box, so that losses of it are finite.

    Returns:
        Boxes (B, A, 4) float32, and labels (B, A) int64; the label of an anchor without a target is ``matched``.
    """
    index = matched.clamp(min=0)
    boxes = targets["boxes"].float().gather(1, index[..., None].expand(-1, -1, 4))
    labels = targets["labels"].gather(1, index)
    return torch.where((matched >= 0)[..., None], boxes, anchors), torch.where(matched >= 0, labels, matched)

"""FCOS: every place near an object's centre says how far the object's edges are."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from visionkit.heads.anchors import rows_of
from visionkit.heads.assignment import assign_centers
from visionkit.heads.dense.head import DenseDetector, matched_targets
from visionkit.heads.dense.spec import FcosHead
from visionkit.losses import focal_loss
from visionkit.structures.boxes import generalized_iou

__all__ = ["Fcos"]


class Fcos(DenseDetector):
    """FCOS (Tian et al. 2020, arXiv:2006.09214, section 2), without the scales it learns for each level.

    Besides ``logits`` its outputs are ``distances`` (B, A, 4): left, top, right, bottom, in strides, and ``quality``
    (B, A), the logit of how much a place's box is to be trusted.
    """

    spec: FcosHead
    distances: nn.Module
    quality: nn.Module

    def forward_level(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.logits(self.classification(x))
        x = self.regression(x)
        return {
            "logits": rows_of(logits, logits.shape[1]),
            "distances": rows_of(F.relu(self.distances(x)), 4),
            "quality": rows_of(self.quality(x), 1)[..., 0],
        }

    def loss(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Focal loss, generalised IoU and the quality's cross-entropy, each divided by the batch's matched places.

        As in torchvision, so among several processes each divides by its own, and a loss depends a little on how images
        fall into batches.

        Args:
            outputs: What `forward` returned.
            targets: ``boxes`` (B, M, 4) float32 xyxy in pixels and ``labels`` (B, M) int64, -1 where there is none.

        Returns:
            ``classification``, ``boxes``, and ``centerness`` or ``iou``.
        """
        matched = self.assign(outputs, targets)
        points, strides = self._points(outputs)
        anchors = torch.cat([points - strides[:, None], points + strides[:, None]], dim=1)
        boxes, labels = matched_targets(targets, matched, anchors)
        foreground = matched >= 0
        count = foreground.sum().clamp(min=1)
        iou, giou = generalized_iou(_boxes(points, strides, outputs["distances"].float()), boxes)
        target = iou.detach() if self.spec.quality == "iou" else _centerness(points, boxes)
        quality = F.binary_cross_entropy_with_logits(outputs["quality"].float(), target, reduction="none")
        classification = focal_loss(outputs["logits"], labels, alpha=self.spec.alpha, gamma=self.spec.gamma)
        return {
            "classification": classification.sum() / count,
            "boxes": torch.where(foreground, 1 - giou, 0).sum() / count,
            self.spec.quality: torch.where(foreground, quality, 0).sum() / count,
        }

    def assign(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        """The object of each place: (B, A) int64 index into the boxes, -1 for background."""
        return assign_centers(
            targets["boxes"],
            targets["labels"],
            self.centers(outputs),
            strides=[level.stride for level in self.levels.values()],
            radius=self.spec.center_radius,
            spacing=0.5 if self.spec.centers == "corner" else 1.0,
        )

    def scores(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """The geometric mean of both probabilities."""
        quality = outputs["quality"].float().sigmoid()
        return (outputs["logits"].float().sigmoid() * quality[..., None]).sqrt()

    def decode(self, outputs: Mapping[str, Tensor], places: Tensor) -> Tensor:
        points, strides = self._points(outputs)
        distances = outputs["distances"].float().gather(1, places[..., None].expand(-1, -1, 4))
        return _boxes(points[places], strides[places], distances)

    def _points(self, outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The middles of all places (A, 2) and their strides (A,), in pixels."""
        points = [level.flatten(0, 1) for level in self.centers(outputs)]
        strides = [
            torch.full_like(one[:, 0], level.stride) for one, level in zip(points, self.levels.values(), strict=True)
        ]
        return torch.cat(points), torch.cat(strides)


def _boxes(points: Tensor, strides: Tensor, distances: Tensor) -> Tensor:
    pixels = distances * strides[..., None]
    return torch.cat([points - pixels[..., :2], points + pixels[..., 2:]], dim=-1)


def _centerness(points: Tensor, boxes: Tensor) -> Tensor:
    """1 in the middle of a box, 0 at its edges (section 2.4); (A, 2) and (B, A, 4) to (B, A)."""
    near, far = points - boxes[..., :2], boxes[..., 2:] - points  # (B, A, 2)
    return (torch.minimum(near, far) / torch.maximum(near, far)).prod(dim=-1).clamp(min=0).sqrt()

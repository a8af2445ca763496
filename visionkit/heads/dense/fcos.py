"""FCOS: anchor points near an object's centre predict their distances to the object's edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from visionkit.heads.anchors import flatten_predictions
from visionkit.heads.assignment import assign_points
from visionkit.heads.dense.head import DenseHead, matched_targets
from visionkit.losses.focal import focal_loss
from visionkit.losses.sums import LossSums
from visionkit.structures.boxes import generalized_iou

__all__ = ["FcosHead"]


class FcosHead(DenseHead):
    """FCOS (Tian et al. 2020, arXiv:2006.09214, section 2), without the learned scale of each level.

    Outputs are, in addition to ``logits``, ``distances`` (B, A, 4) to the left, top, right and bottom edge in strides,
    and ``quality`` (B, A), the logit of a box's centerness or IoU.

    Args:
        layers: The layers of `DenseHead`, and ``distances`` and ``quality``.
        quality: The target of ``quality``: ``centerness`` of the point (section 2.4), or ``iou`` of the predicted box.
        center_radius: The radius around an object's centre in which points are positive, in strides.
        **dense: As for `DenseHead`.
    """

    distances: nn.Module
    quality: nn.Module

    def __init__(self, layers: Mapping[str, nn.Module], *, quality: str, center_radius: float, **dense: Any) -> None:
        super().__init__(layers, **dense)
        self.quality_target, self.center_radius = quality, center_radius

    def forward_level(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.logits(self.classification(x))
        x = self.regression(x)
        return {
            "logits": flatten_predictions(logits, logits.shape[1]),
            "distances": flatten_predictions(F.relu(self.distances(x)), 4),
            "quality": flatten_predictions(self.quality(x), 1)[..., 0],
        }

    def loss_sums(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, LossSums]:
        """Focal loss, GIoU loss and the quality's cross-entropy, each divided by the number of positive points.

        In training the divisor is that of the local batch, as in torchvision: each process divides by its own, and the
        loss depends slightly on how images are batched. In evaluation it is that of the split.

        Args:
            outputs: The return value of `forward`.
            targets: ``boxes`` (B, M, 4) float32 xyxy in pixels and ``labels`` (B, M) int64, -1 for padding.

        Returns:
            ``classification``, ``boxes``, and ``centerness`` or ``iou``.
        """
        matched = self.assign(outputs, targets)
        points, strides = self._points(outputs)
        anchors = torch.cat([points - strides[:, None], points + strides[:, None]], dim=1)
        boxes, labels = matched_targets(targets, matched, anchors)
        foreground = matched >= 0
        count = foreground.sum()
        iou, giou = generalized_iou(_boxes(points, strides, outputs["distances"].float()), boxes)
        target = iou.detach() if self.quality_target == "iou" else _centerness(points, boxes)
        quality = F.binary_cross_entropy_with_logits(outputs["quality"].float(), target, reduction="none")
        classification = focal_loss(outputs["logits"], labels, alpha=self.alpha, gamma=self.gamma)
        return {
            "classification": LossSums(classification.sum(), count),
            "boxes": LossSums(torch.where(foreground, 1 - giou, 0).sum(), count),
            self.quality_target: LossSums(torch.where(foreground, quality, 0).sum(), count),
        }

    def assign(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        """The target of each anchor point: (B, A) int64 index into the boxes, -1 for background."""
        return assign_points(
            targets["boxes"],
            targets["labels"],
            self.centers(outputs),
            strides=[level.stride for level in self.levels.values()],
            radius=self.center_radius,
            spacing=0.5 if self.corner else 1.0,
        )

    def scores(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """The geometric mean of the probabilities of class and quality."""
        quality = outputs["quality"].float().sigmoid()
        return (outputs["logits"].float().sigmoid() * quality[..., None]).sqrt()

    def decode(self, outputs: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        points, strides = self._points(outputs)
        distances = outputs["distances"].float().gather(1, indices[..., None].expand(-1, -1, 4))
        return _boxes(points[indices], strides[indices], distances)

    def _points(self, outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """All anchor points (A, 2) and their strides (A,), in pixels."""
        points = [level.flatten(0, 1) for level in self.centers(outputs)]
        strides = [
            torch.full_like(x[:, 0], level.stride) for x, level in zip(points, self.levels.values(), strict=True)
        ]
        return torch.cat(points), torch.cat(strides)


def _boxes(points: Tensor, strides: Tensor, distances: Tensor) -> Tensor:
    """Boxes (..., 4) xyxy in pixels of distances (..., 4) in strides from points (..., 2)."""
    pixels = distances * strides[..., None]
    return torch.cat([points - pixels[..., :2], points + pixels[..., 2:]], dim=-1)


def _centerness(points: Tensor, boxes: Tensor) -> Tensor:
    """1 at the centre of a box, 0 at its edges (section 2.4); points (A, 2) and boxes (B, A, 4) to (B, A)."""
    near, far = points - boxes[..., :2], boxes[..., 2:] - points  # (B, A, 2)
    return (torch.minimum(near, far) / torch.maximum(near, far)).prod(dim=-1).clamp(min=0).sqrt()

"""RetinaNet: every anchor predicts class scores and the deltas to its object's box."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from visionkit.heads.anchors import flatten_predictions
from visionkit.heads.assignment import assign_anchors
from visionkit.heads.dense.head import DenseHead, matched_targets
from visionkit.losses.focal import focal_loss
from visionkit.losses.sums import LossSums
from visionkit.structures.boxes import apply_deltas, box_deltas

__all__ = ["RetinaNetHead"]


class RetinaNetHead(DenseHead):
    """RetinaNet (Lin et al. 2017, arXiv:1708.02002, section 4); A counts all anchors of all levels.

    Outputs are, in addition to ``logits``, ``deltas`` (B, A, 4); see `visionkit.structures.boxes.box_deltas`.

    Args:
        layers: The layers of `DenseHead`, and ``deltas``.
        anchor_shapes: Width and height in pixels of each level's anchors.
        box_loss: The loss of each box, (B, A, 4) twice to (B, A).
        loss_of_deltas: Whether ``box_loss`` takes deltas; else it takes decoded boxes.
        foreground_iou: Anchors of at least this IoU with an object are positive.
        background_iou: Anchors below this IoU with all objects are background.
        **dense: As for `DenseHead`.
    """

    deltas: nn.Module
    shapes: Tensor

    def __init__(
        self,
        layers: Mapping[str, nn.Module],
        *,
        anchor_shapes: Sequence[Sequence[tuple[float, float]]],
        box_loss: Callable[[Tensor, Tensor], Tensor],
        loss_of_deltas: bool,
        foreground_iou: float,
        background_iou: float,
        **dense: Any,
    ) -> None:
        super().__init__(layers, **dense)
        self.box_loss, self.loss_of_deltas = box_loss, loss_of_deltas
        self.foreground_iou, self.background_iou = foreground_iou, background_iou
        self._shapes = [list(shapes) for shapes in anchor_shapes]
        self.register_buffer("shapes", torch.tensor(self._shapes), persistent=False)  # (L, n, 2): width, height

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> RetinaNetHead:
        """Keep the sides of anchors in float32 when the module's dtype changes."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if not self.shapes.is_meta:
            self.shapes = torch.tensor(self._shapes, device=self.shapes.device)
        return self

    def forward_level(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.logits(self.classification(x))
        return {
            "logits": flatten_predictions(logits, logits.shape[1] // self.num_anchors),
            "deltas": flatten_predictions(self.deltas(self.regression(x)), 4),
        }

    def loss_sums(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, LossSums]:
        """Focal loss and box loss, each divided by an image's number of positive anchors; the mean over the images.

        Args:
            outputs: The return value of `forward`.
            targets: ``boxes`` (B, M, 4) float32 xyxy in pixels and ``labels`` (B, M) int64, -1 for padding.

        Returns:
            ``classification`` and ``boxes``.
        """
        matched = self.assign(outputs, targets)
        anchors = self.anchors(outputs)
        boxes, labels = matched_targets(targets, matched, anchors)
        foreground = matched >= 0
        counts = foreground.sum(dim=1).clamp(min=1)  # (B,)
        deltas = outputs["deltas"].float()
        if self.loss_of_deltas:
            box_loss = self.box_loss(deltas, box_deltas(boxes, anchors))
        else:
            box_loss = self.box_loss(apply_deltas(deltas, anchors), boxes)
        classification = focal_loss(outputs["logits"], labels, alpha=self.alpha, gamma=self.gamma)
        num_images = torch.tensor(len(counts), device=counts.device)
        return {
            "classification": LossSums((classification / counts).sum(), num_images),
            "boxes": LossSums((torch.where(foreground, box_loss, 0).sum(dim=1) / counts).sum(), num_images),
        }

    def assign(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        """The target of each anchor: (B, A) int64 index into the boxes, -1 for background, -2 for ignored."""
        return assign_anchors(
            targets["boxes"],
            targets["labels"],
            self.centers(outputs),
            self.shapes,
            foreground_iou=self.foreground_iou,
            background_iou=self.background_iou,
        )

    def anchors(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """All anchors, (A, 4) xyxy in pixels."""
        anchors = []
        for centers, shapes in zip(self.centers(outputs), self.shapes, strict=True):
            points, half = centers[:, :, None], shapes / 2  # (H, W, 1, 2), (n, 2)
            anchors.append(torch.cat([points - half, points + half], dim=-1).flatten(0, 2))
        return torch.cat(anchors)

    def scores(self, outputs: Mapping[str, Tensor]) -> Tensor:
        return outputs["logits"].float().sigmoid()

    def decode(self, outputs: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        deltas = outputs["deltas"].float().gather(1, indices[..., None].expand(-1, -1, 4))
        return apply_deltas(deltas, self.anchors(outputs)[indices])

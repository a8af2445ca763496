"""Non-maximum suppression as a graph of fixed shapes, for exported models."""

from __future__ import annotations

import torch
from torch import Tensor

from visionkit.structures.boxes import box_areas

__all__ = ["StaticNms"]


class StaticNms:
    """Greedy suppression within each class, as the fixed point of "no better box that is kept overlaps this one".

    Greedy suppression keeps a box if none of the better ones that it keeps overlaps it. Starting from all boxes, each
    round settles one link more of every chain of overlaps, so that chains of up to ``rounds`` boxes are exact.

    Args:
        limit: The number of boxes, by score, that are looked at; others are suppressed.
        rounds: How often the rule is applied.

    Attributes:
        converged: (B,) bool: whether the last round has changed nothing in the last call, so that it was exact.
    """

    converged: Tensor

    def __init__(self, *, limit: int = 300, rounds: int = 12) -> None:
        self.limit, self.rounds = limit, rounds

    def __call__(self, boxes: Tensor, scores: Tensor, labels: Tensor, *, iou_threshold: float) -> Tensor:
        """The boxes to keep, (B, N) bool; the arguments are those of `visionkit.structures.boxes.batched_nms`."""
        scores_of_present = scores.masked_fill(labels < 0, -torch.inf)
        _, order = scores_of_present.topk(torch.sym_min(self.limit, scores.shape[1]))  # (B, L), the best first
        boxes = boxes.float().gather(1, order[..., None].expand(-1, -1, 4))
        labels = labels.gather(1, order)
        present = (labels >= 0)[:, None].float()  # (B, 1, L)
        rank = torch.arange(order.shape[1], device=order.device)
        suppresses = _overlaps(boxes, iou_threshold) & (labels[:, :, None] == labels[:, None, :])  # (B, L, L)
        suppresses = (suppresses & (rank[:, None] < rank)).float()  # a row is the better box
        keep = previous = present
        for _ in range(self.rounds):
            previous = keep
            keep = (present - torch.matmul(keep, suppresses)).relu()  # 1 or 0: a count of suppressing boxes is whole
        self.converged = (previous == keep).all(dim=2)[:, 0]
        return torch.zeros_like(scores, dtype=keep.dtype).scatter(1, order, keep[:, 0]) > 0


def _overlaps(boxes: Tensor, iou_threshold: float) -> Tensor:
    """Which pairs of the boxes (B, L, 4) of an image have an IoU above the threshold, (B, L, L) bool."""
    columns, rows = (
        (torch.minimum(far[:, :, None], far[:, None]) - torch.maximum(near[:, :, None], near[:, None])).relu()
        for near, far in ((boxes[..., 0], boxes[..., 2]), (boxes[..., 1], boxes[..., 3]))
    )
    weighted = iou_threshold * box_areas(boxes)
    # intersection / union > t, where the union is the sum of the areas less the intersection
    return (1 + iou_threshold) * columns * rows > weighted[:, :, None] + weighted[:, None]

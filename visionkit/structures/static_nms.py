"""Non-maximum suppression as a graph of fixed shapes, for exported models."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from visionkit.structures.boxes import box_areas

__all__ = ["StaticNms"]

_BLOCK_SIZE, _MAX_BLOCKS = 128, 8
"""Smaller blocks compare fewer pairs of boxes, in more steps; each makes the graph larger, and slower to export."""


class StaticNms:
    """Greedy suppression within each class, block after block of the boxes by descending score.

    Boxes that earlier blocks keep are final, and suppress those of a block first. Among the rest, a box is kept if none
    of the better ones that are kept overlaps it: starting from all, each round settles one link more of every chain of
    overlaps, so that chains of up to ``rounds`` boxes of a block are exact.

    Args:
        limit: The number of boxes, by score, that are looked at; others are suppressed.
        rounds: How often the rule is applied in a block.
        max_kept: The number of kept boxes, by score, that need to be right: those that a head predicts at most. None
            for all.

    Attributes:
        converged: (B,) bool: whether the last call was exact, since the last rounds have changed nothing, and no boxes
            were left to look at, or none was needed.
    """

    converged: Tensor

    def __init__(self, *, limit: int = 300, rounds: int = 12, max_kept: int | None = None) -> None:
        self.limit, self.rounds = limit, rounds
        self.max_kept = limit if max_kept is None else max_kept

    def __call__(self, boxes: Tensor, scores: Tensor, labels: Tensor, *, iou_threshold: float) -> Tensor:
        """The boxes to keep, (B, N) bool; the arguments are those of `visionkit.structures.boxes.batched_nms`.

        After the first ``max_kept`` boxes it may keep others than that does.
        """
        num_boxes = labels.shape[1]
        if not isinstance(num_boxes, int):  # of images of any size: blocks need a number that is known
            boxes = F.pad(boxes, (0, 0, 0, self.limit))
            scores, labels = F.pad(scores, (0, self.limit)), F.pad(labels, (0, self.limit), value=-1)
        scores = scores.masked_fill(labels < 0, -torch.inf)
        size = min(self.limit, num_boxes) if isinstance(num_boxes, int) else self.limit
        order = scores.topk(size).indices  # (B, L), the best first
        keep = self._keep_sorted(
            boxes.float().gather(1, order[..., None].expand(-1, -1, 4)), labels.gather(1, order), iou_threshold
        )
        has_seen_all = (labels >= 0).sum(dim=1) <= size
        self.converged = self.converged & (has_seen_all | (keep.sum(dim=1) >= self.max_kept))
        return torch.zeros_like(scores, dtype=keep.dtype).scatter(1, order, keep)[:, :num_boxes] > 0

    def _keep_sorted(self, boxes: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
        """Which of the boxes (B, L, 4) of descending score are kept, (B, L) float32, 1 or 0."""
        kept_boxes, kept_labels = boxes[:, :0], labels[:, :0]
        num_kept = torch.zeros_like(labels[:, 0])
        converged = num_kept == 0
        keeps = []
        size = max(_BLOCK_SIZE, -(-boxes.shape[1] // _MAX_BLOCKS))
        for start in range(0, boxes.shape[1], size):
            block, block_labels = boxes[:, start : start + size], labels[:, start : start + size]
            better_boxes = torch.cat([kept_boxes, block], dim=1)
            better_labels = torch.cat([kept_labels, block_labels], dim=1)
            suppresses = _suppresses(better_boxes, better_labels, block, block_labels, iou_threshold).float()
            by_kept = suppresses[:, : kept_labels.shape[1]].sum(dim=1)
            by_own = suppresses[:, kept_labels.shape[1] :].triu(diagonal=1)  # a row is the better box
            present = ((block_labels >= 0).float() - by_kept).relu()[:, None]  # (B, 1, L)
            keep = previous = present
            for _ in range(self.rounds):
                previous = keep
                keep = (present - torch.matmul(keep, by_own)).relu()  # 1 or 0: a count of suppressing boxes is whole
            keeps.append(keep[:, 0])
            converged = converged & ((previous == keep).all(dim=2)[:, 0] | (num_kept >= self.max_kept))
            num_kept = num_kept + keeps[-1].sum(dim=1).long()
            kept_boxes = better_boxes
            kept_labels = torch.cat([kept_labels, torch.where(keeps[-1] > 0, block_labels, -1)], dim=1)
            if kept_labels.shape[1] > self.max_kept:
                kept_boxes, kept_labels = _first_kept(kept_boxes, kept_labels, count=self.max_kept)
        self.converged = converged
        return torch.cat(keeps, dim=1)


def _first_kept(boxes: Tensor, labels: Tensor, *, count: int) -> tuple[Tensor, Tensor]:
    """The first boxes (B, N, 4) of a label (B, N) of at least 0, in their order, and others if these are fewer."""
    size = labels.shape[1]
    position = torch.arange(size, 0, -1, device=labels.device, dtype=torch.float32)
    first = (position + size * (labels >= 0)).topk(count).indices
    return boxes.gather(1, first[..., None].expand(-1, -1, 4)), labels.gather(1, first)


def _suppresses(boxes: Tensor, labels: Tensor, others: Tensor, other_labels: Tensor, iou_threshold: float) -> Tensor:
    """Which of the boxes (B, N, 4) overlap which others (B, M, 4) of their class too much, (B, N, M) bool."""
    columns, rows = (
        (
            torch.minimum(far[:, :, None], other_far[:, None]) - torch.maximum(near[:, :, None], other_near[:, None])
        ).relu()
        for near, far, other_near, other_far in (
            (boxes[..., axis], boxes[..., axis + 2], others[..., axis], others[..., axis + 2]) for axis in (0, 1)
        )
    )
    weighted, other_weighted = iou_threshold * box_areas(boxes), iou_threshold * box_areas(others)
    # intersection / union > t, where the union is the sum of the areas less the intersection
    overlaps = (1 + iou_threshold) * columns * rows > weighted[:, :, None] + other_weighted[:, None]
    return overlaps & (labels[:, :, None] == other_labels[:, None])

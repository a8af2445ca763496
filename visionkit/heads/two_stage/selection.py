"""What predicts with two stages for a whole batch, in tensors whose shapes do not depend on values.

Rows that an image does not have are padding, told by a mask or a label of -1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from visionkit.structures.boxes import apply_deltas, clip_boxes

__all__ = ["Suppress", "class_boxes", "scatter_rows", "select_proposals"]

Suppress = Callable[..., Tensor]
"""`visionkit.structures.boxes.batched_nms`, or a function of its arguments."""

_PROPOSAL_THRESHOLD = 0.7
"""Ren et al. 2015, section 3.3."""
_MIN_SIDE = {"proposal": 1e-3, "detection": 1e-2}
"""In pixels, as in torchvision; smaller boxes are discarded."""
_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
"""By which the second stage's deltas are larger (Girshick 2015, arXiv:1504.08083, section 2.3: unit variance)."""


def select_proposals(
    logits: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    image_sizes: Tensor,
    *,
    level_sizes: Sequence[int],
    count: int,
    suppress: Suppress,
) -> tuple[Tensor, Tensor]:
    """The proposals of each image: the best anchors of each level, suppressed within it, and the best of all levels.

    Args:
        logits: (B, A, 1) float32, of any object.
        deltas: (B, A, 4) float32.
        anchors: (A, 4) float32 xyxy in pixels.
        image_sizes: (B, 2) int64 heights and widths without padding; boxes are clipped to them.
        level_sizes: The number of anchors of each level.
        count: The largest number of anchors per level, and of proposals per image.
        suppress: It is given each level of each image as one of B * levels images.

    Returns:
        Boxes (B, P, 4) by descending score, and which are proposals, (B, P) bool; P is at most ``count``.
    """
    kept = []
    longest = min(count, max(level_sizes))
    start = 0
    for level in torch.split(logits[..., 0], list(level_sizes), dim=1):  # type: ignore[no-untyped-call]
        top, indices = level.topk(torch.sym_min(count, level.shape[1]))
        indices = (start + indices)[..., None]
        boxes = apply_deltas(deltas.gather(1, indices.expand(-1, -1, 4)), anchors[indices[..., 0]])
        boxes = clip_boxes(boxes, image_sizes)
        labels = torch.where(_has_sides(boxes, _MIN_SIDE["proposal"]), 0, -1)
        padding = longest - top.shape[1]
        kept.append((F.pad(boxes, (0, 0, 0, padding)), F.pad(top, (0, padding)), F.pad(labels, (0, padding), value=-1)))
        start += level.shape[1]
    boxes, scores, labels = (torch.stack(parts, dim=1) for parts in zip(*kept, strict=True))  # (B, levels, L, ...)
    keep = suppress(*(part.flatten(0, 1) for part in (boxes, scores, labels)), iou_threshold=_PROPOSAL_THRESHOLD)
    scores = scores.flatten(1).masked_fill(~keep.reshape(logits.shape[0], -1), -torch.inf)
    top, best = scores.topk(torch.sym_min(count, scores.shape[1]))
    return boxes.flatten(1, 2).gather(1, best[..., None].expand(-1, -1, 4)), top > -torch.inf


def class_boxes(
    logits: Tensor, deltas: Tensor, proposals: Tensor, image_sizes: Tensor, *, score_threshold: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The box, score and label of each of N proposals and K classes.

    Args:
        logits: (N, K + 1) float32; class 0 is the background.
        deltas: (N, 4 * (K + 1)) float32.
        proposals: (N, 4) xyxy in pixels.
        image_sizes: (N, 2) int64 height and width of the image of each, to which boxes are clipped.
        score_threshold: Boxes with scores up to this get the label -1.

    Returns:
        Boxes (N, K, 4) float32, scores (N, K) float64 (float32 on MPS) and labels (N, K) int64.
    """
    exact = torch.float32 if logits.device.type == "mps" else torch.float64
    scores = logits.softmax(dim=1, dtype=exact)[:, 1:]  # so that sure ones differ, and the better of two is known
    boxes = deltas.reshape(deltas.shape[0], -1, 4)[:, 1:] / deltas.new_tensor(_WEIGHTS)
    boxes = clip_boxes(apply_deltas(boxes, proposals[:, None]), image_sizes)
    present = (scores > score_threshold) & _has_sides(boxes, _MIN_SIDE["detection"])
    classes = torch.arange(scores.shape[1], device=scores.device)
    return boxes, scores, torch.where(present, classes, -1)


def scatter_rows(values: Tensor, mask: Tensor, *, fill: int = 0) -> Tensor:
    """Rows (N, ...) put where a mask (B, M) with N true elements is true, and ``fill`` elsewhere: (B, M, ...)."""
    scattered = values.new_full((*mask.shape, *values.shape[1:]), fill)
    scattered[torch.where(mask)] = values
    return scattered


def _has_sides(boxes: Tensor, least: float) -> Tensor:
    """Which boxes (..., 4) have sides of at least ``least`` pixels."""
    return (boxes[..., 2:] - boxes[..., :2] >= least).all(dim=-1)

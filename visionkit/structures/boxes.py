"""Boxes as tensors: xyxy in pixels, where the first pixel of an image spans 0 to 1.

Every function takes a whole batch and keeps its shapes; the only one that looks at values is `batched_nms`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = [
    "apply_deltas",
    "box_areas",
    "box_deltas",
    "clip_boxes",
    "generalized_iou",
    "rescale_boxes",
    "batched_nms",
]

_LARGEST_LOG_SCALE = math.log(1000 / 16)
_AT_ONCE = {"cpu": 256}
"""Boxes that are compared with each other at a time, about: the work grows with the square of their number."""


def box_areas(boxes: Tensor) -> Tensor:
    """Square pixels of boxes (..., 4), as (...)."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def clip_boxes(boxes: Tensor, image_sizes: Tensor) -> Tensor:
    """Boxes (B, N, 4) cut off at the edges of their images, (B, 2) height and width in pixels."""
    far = image_sizes.flip(-1).repeat(1, 2)[:, None].to(boxes.dtype)  # (B, 1, 4): width, height, width, height
    return torch.minimum(boxes.clamp(min=0), far)


def rescale_boxes(boxes: Tensor, from_sizes: Tensor, to_sizes: Tensor) -> Tensor:
    """Boxes as they lie in images of another size.

    Args:
        boxes: (B, N, 4).
        from_sizes: (B, 2) height and width in pixels of the images they lie in.
        to_sizes: (B, 2) height and width of the same images where they are wanted.
    """
    ratio = (to_sizes.to(boxes.dtype) / from_sizes.to(boxes.dtype)).flip(-1)  # (B, 2): along x, along y
    return boxes * ratio.repeat(1, 2)[:, None]


def box_deltas(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Boxes relative to anchors: shift of the centre in the anchor's sides, and log of the sides' ratio.

    Girshick et al. 2014 (arXiv:1311.2524), appendix C.

    Args:
        boxes: (..., 4) with sides above 0.
        anchors: (..., 4), broadcast against the boxes.
    """
    sides = anchors[..., 2:] - anchors[..., :2]
    centers = anchors[..., :2] + 0.5 * sides
    box_sides = boxes[..., 2:] - boxes[..., :2]
    box_centers = boxes[..., :2] + 0.5 * box_sides
    return torch.cat([(box_centers - centers) / sides, (box_sides / sides).log()], dim=-1)


def apply_deltas(deltas: Tensor, anchors: Tensor) -> Tensor:
    """The boxes that deltas (..., 4) mean at their anchors (..., 4): the reverse of `box_deltas`.

    No side grows by more than 1000 / 16, so that a wild guess stays finite.
    """
    sides = anchors[..., 2:] - anchors[..., :2]
    centers = anchors[..., :2] + 0.5 * sides
    new_centers = deltas[..., :2] * sides + centers
    half = 0.5 * deltas[..., 2:].clamp(max=_LARGEST_LOG_SCALE).exp() * sides
    return torch.cat([new_centers - half, new_centers + half], dim=-1)


def generalized_iou(boxes: Tensor, others: Tensor, *, eps: float = 1e-7) -> tuple[Tensor, Tensor]:
    """Intersection over union of pairs of boxes (..., 4), and its generalisation, each (...).

    The second is smaller by the share of the smallest box around both that neither covers, so it also
    says how far apart boxes are (Rezatofighi et al. 2019, arXiv:1902.09630, algorithm 1).
    """
    near, far = torch.maximum(boxes[..., :2], others[..., :2]), torch.minimum(boxes[..., 2:], others[..., 2:])
    common = (far - near).clamp(min=0).prod(dim=-1)
    union = box_areas(boxes) + box_areas(others) - common
    iou = common / (union + eps)
    near, far = torch.minimum(boxes[..., :2], others[..., :2]), torch.maximum(boxes[..., 2:], others[..., 2:])
    around = (far - near).prod(dim=-1)
    return iou, iou - (around - union) / (around + eps)


def batched_nms(boxes: Tensor, scores: Tensor, labels: Tensor, *, iou_threshold: float) -> Tensor:
    """Greedy non-maximum suppression among the boxes of one class in one image, for the whole batch.

    Args:
        boxes: (B, N, 4).
        scores: (B, N).
        labels: (B, N) int64; -1 where there is no box.
        iou_threshold: A box goes if it overlaps a better one of its class by more.

    Returns:
        (B, N) bool, true for the boxes that stay.
    """
    from torchvision.ops import nms

    keep = torch.zeros_like(labels, dtype=torch.bool)
    there = (labels >= 0).flatten().nonzero()[:, 0]
    if not len(there):
        return keep
    images = torch.arange(len(labels), device=labels.device)[:, None]
    groups = (images * (labels.max() + 1) + labels).flatten()[there]
    boxes, scores = boxes.flatten(0, 1)[there].float(), scores.flatten()[there].float()
    exact = boxes if boxes.device.type == "mps" else boxes.double()
    apart = exact + groups[:, None] * (exact.max() + 1)  # a region of its own for each group
    order = groups.argsort(stable=True)
    counts = torch.unique(groups, return_counts=True)[1]  # in the order of the groups, too
    piece = (counts.cumsum(dim=0) - 1) // _AT_ONCE.get(boxes.device.type, 20_000)
    sizes = torch.unique(piece.repeat_interleave(counts), return_counts=True)[1].tolist()
    parts = torch.split(order, sizes)  # type: ignore[no-untyped-call]
    stays = torch.cat([part[nms(apart[part], scores[part].to(apart.dtype), iou_threshold)] for part in parts])
    keep.view(-1)[there[stays]] = True
    return keep

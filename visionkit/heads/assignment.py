"""Assigning ground-truth boxes to the anchor points or anchors of dense detectors, for whole batches and all levels.

M is the number of padded boxes, L of levels, A of all anchor points or anchors. Boxes are (B, M, 4) xyxy in pixels,
labels (B, M) int64 with -1 for padding, and ``centers`` holds the anchor points of each level, (H, W, 2) x and y in
pixels. No shape depends on values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from visionkit.structures.boxes import box_areas

__all__ = ["assign_anchors", "assign_points"]

# 0.03 (FCOS) and 0.16 (RetinaNet) of the time of torchvision's matching, with equal results: tools/bench_detect.py.

_CHUNK_SIZE = {"cpu": 2**20}
"""Pairs of box and anchor per chunk by device type: on a CPU as many as fit its cache."""


@torch.no_grad()
def assign_points(
    boxes: Tensor,
    labels: Tensor,
    centers: Sequence[Tensor],
    *,
    strides: Sequence[int],
    radius: float,
    spacing: float = 1.0,
) -> Tensor:
    """FCOS's assignment (Tian et al. 2020, arXiv:2006.09214, section 2.2): the smallest box that fits a point's level.

    A point is positive for a box that contains it, whose centre is less than ``radius`` strides away along each axis,
    and whose farthest edge is at most 8 strides away, but more than 8 strides of the next finer level. Only a window
    of points around the centre of each box is examined, so the work does not grow with the image.

    Args:
        boxes: (B, M, 4); see the module.
        labels: (B, M); see the module.
        centers: Per level (H, W, 2); see the module.
        strides: The strides of the levels in pixels.
        radius: The radius of center sampling in strides.
        spacing: The smallest distance between neighbouring points, in strides.

    Returns:
        (B, A) int64, the index of each point's box, -1 for background.
    """
    stride = torch.tensor(strides, dtype=torch.float32, device=boxes.device)
    upper = stride * 8
    lower = torch.cat([upper.new_zeros(1), upper[:-1]])
    upper = torch.cat([upper[:-1], upper.new_full((1,), math.inf)])
    window = math.floor(2 * radius / spacing) + 2
    columns = _AxisWindow([level[0, :, 0] for level in centers], boxes[..., 0], boxes[..., 2], radius * stride, window)
    rows = _AxisWindow([level[:, 0, 1] for level in centers], boxes[..., 1], boxes[..., 3], radius * stride, window)

    max_distance = torch.maximum(rows.max_distance[..., :, None], columns.max_distance[..., None, :])  # (B, M, L, R, C)
    positive = rows.inside[..., :, None] & columns.inside[..., None, :]
    positive &= (max_distance > lower[:, None, None]) & (max_distance < upper[:, None, None])
    positive &= (labels >= 0)[..., None, None, None]

    counts = [level.shape[0] * level.shape[1] for level in centers]
    total = sum(counts)
    start = torch.tensor([sum(counts[:i]) for i in range(len(counts))], device=boxes.device)
    width = torch.tensor([level.shape[1] for level in centers], device=boxes.device)
    index = start[:, None, None] + rows.index[..., :, None] * width[:, None, None] + columns.index[..., None, :]
    index = torch.where(positive, index, total)

    # float32 of 1e8 - area, as in torchvision: areas that differ by less than 8 compare as equal
    order = (1e8 - box_areas(boxes.float())).argsort(dim=1, descending=True, stable=True)  # (B, M)
    num_boxes = boxes.shape[1]
    best_rank = torch.full((len(boxes), total + 1), num_boxes, device=boxes.device)
    rank = order.argsort(dim=1)[:, :, None].expand(-1, -1, index[0, 0].numel())
    best_rank.scatter_reduce_(1, index.flatten(1), rank.flatten(1), reduce="amin")
    best_rank = best_rank[:, :total]
    matched = order.gather(1, best_rank.clamp(max=num_boxes - 1))
    return torch.where(best_rank < num_boxes, matched, -1)


class _AxisWindow:
    """Along one axis, a window of consecutive points around the centre of each box: (B, M, L, window).

    Attributes:
        index: Row or column of the points; may lie outside the map.
        inside: Whether a point exists, lies in the box, and is nearer than the radius to its centre.
        max_distance: Pixels to the farther edge of the box.
    """

    def __init__(self, centers: Sequence[Tensor], low: Tensor, high: Tensor, radius: Tensor, window: int) -> None:
        low, high = low[..., None, None], high[..., None, None]
        first = torch.stack([axis[0] for axis in centers])
        last = torch.stack([axis[-1] for axis in centers])
        count = torch.tensor([len(axis) for axis in centers], device=low.device)
        step = torch.where(count > 1, (last - first) / (count - 1).clamp(min=1), radius)  # (L,)
        middle = (low + high) / 2
        begin = ((middle - radius[:, None] - first[:, None]) / step[:, None]).floor()
        index = begin.long() + torch.arange(window, device=low.device)
        position = first[:, None] + index * step[:, None]
        to_low, to_high = position - low, high - position
        self.inside = (index >= 0) & (index < count[:, None])
        self.inside &= (torch.minimum(to_low, to_high) > 0) & ((position - middle).abs() < radius[:, None])
        self.max_distance = torch.maximum(to_low, to_high)
        self.index = index


@torch.no_grad()
def assign_anchors(
    boxes: Tensor,
    labels: Tensor,
    centers: Sequence[Tensor],
    shapes: Tensor,
    *,
    foreground_iou: float,
    background_iou: float,
) -> Tensor:
    """RetinaNet's assignment (Lin et al. 2017, arXiv:1708.02002, section 4, "Anchors"): the box of highest IoU.

    The anchors of highest IoU with a box are foreground however low that is, as in Faster R-CNN (Ren et al. 2015,
    arXiv:1506.01497, section 3.1.2). Intersections along each axis are computed once per row and column of anchors;
    what is left for each pair of box and anchor is a product and a quotient.

    Args:
        boxes: (B, M, 4); see the module.
        labels: (B, M); see the module.
        centers: Per level (H, W, 2); see the module.
        shapes: (L, n, 2) width and height in pixels of each level's anchors.
        foreground_iou: Anchors of at least this IoU are foreground.
        background_iou: Anchors below this IoU are background; those between both thresholds are ignored.

    Returns:
        (B, A) int64, the anchors of a cell next to each other: the index of the box, -1 for background, -2 for ignored.
    """
    boxes = boxes.float()
    levels = [_Overlaps(boxes, points, sides) for points, sides in zip(centers, shapes, strict=True)]
    highest = torch.stack([level.highest.amax(dim=-1) for level in levels]).amax(dim=0)  # (B, M)
    highest = torch.where((labels >= 0) & (highest > 0), highest, 1)  # overlaps are below 1
    foreground, background = (iou / (1 + iou) for iou in (foreground_iou, background_iou))
    matched = []
    for level in levels:
        chunks = zip(*level.best_boxes(), strict=True)
        overlap, box = (torch.cat(chunk, dim=2) for chunk in chunks)
        index = torch.where(overlap < background, -1, -2)
        index = torch.where((overlap >= foreground) | level.is_best_anchor(highest), box, index)
        matched.append(index.permute(0, 2, 3, 1).flatten(1))  # (B, n, H, W) to (B, H * W * n)
    return torch.cat(matched, dim=1)


class _Overlaps:
    """The overlaps of all boxes with all anchors of one level.

    The overlap of a pair is its intersection divided by the sum of both areas: IoU / (1 + IoU), which orders pairs as
    the IoU does and takes one operation less.

    Attributes:
        widths: (B, M, n, W), the intersections along x in pixels.
        heights: (B, M, n, H), the intersections along y in pixels.
        areas: (B, M, n), the sums of the areas of box and anchor.
        highest: (B, M, n), the highest overlap of each box with the anchors of each shape.
    """

    def __init__(self, boxes: Tensor, centers: Tensor, shapes: Tensor) -> None:
        half = shapes / 2
        self.widths = _intersections(boxes[..., 0], boxes[..., 2], centers[0, :, 0], half[:, 0])  # (B, M, n, W)
        self.heights = _intersections(boxes[..., 1], boxes[..., 3], centers[:, 0, 1], half[:, 1])  # (B, M, n, H)
        self.areas = box_areas(boxes)[..., None] + shapes.prod(dim=-1)  # (B, M, n)
        self.highest = self.widths.amax(dim=-1) * self.heights.amax(dim=-1) / self.areas

    def is_best_anchor(self, highest: Tensor) -> Tensor:
        """Whether an anchor is among those of highest overlap with some box: (B, n, H, W) bool.

        Args:
            highest: (B, M), the highest overlap of each box over all levels.
        """
        is_best_shape = (self.highest == highest[..., None])[..., None]
        columns = is_best_shape & (self.widths == self.widths.amax(dim=-1, keepdim=True))
        rows = self.heights == self.heights.amax(dim=-1, keepdim=True)
        return torch.einsum("bmnh,bmnw->bnhw", rows.float(), columns.float()) > 0

    def best_boxes(self) -> Iterator[tuple[Tensor, Tensor]]:
        """In chunks of rows, (B, n, rows, W): the highest overlap of each anchor, and the first box that has it."""
        images, num_boxes, shapes, width = self.widths.shape
        height = self.heights.shape[-1]
        pairs_per_row = images * num_boxes * shapes * width
        rows = max(1, min(height, _CHUNK_SIZE.get(self.widths.device.type, 2**26) // pairs_per_row))
        dtype = torch.uint8 if num_boxes < 2**8 else torch.int32
        order = torch.arange(num_boxes, 0, -1, device=self.widths.device)[:, None, None, None].to(dtype)
        for heights in torch.split(self.heights, rows, dim=-1):  # type: ignore[no-untyped-call]
            overlap = (self.widths[:, :, :, None, :] * heights[..., None]).div_(self.areas[..., None, None])
            highest = overlap.amax(dim=1)  # of (B, M, n, rows, W)
            first = (overlap == highest[:, None]).to(dtype).mul_(order).amax(dim=1)
            yield highest, num_boxes - first.long()


def _intersections(low: Tensor, high: Tensor, centers: Tensor, half: Tensor) -> Tensor:
    """Intersections of boxes (B, M) and anchors along one axis in pixels: (B, M, n, H or W)."""
    start = torch.maximum(low[..., None, None], centers - half[:, None])
    end = torch.minimum(high[..., None, None], centers + half[:, None])
    return (end - start).clamp(min=0)

"""Which object each place of a dense detector answers for: whole batches, all levels, shapes known beforehand.

M is the number of padded boxes, L of levels, A of all places. Boxes are (B, M, 4) xyxy in pixels, labels (B, M)
int64 with -1 for padding, and ``centers`` holds each level's places, (H, W, 2) x and y in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from visionkit.structures.boxes import box_areas

__all__ = ["assign_anchors", "assign_points"]

_AT_ONCE = {"cpu": 2**20}
"""Pairs of box and anchor that are compared at a time: on a CPU as many as its cache holds."""


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
    """FCOS's rule (Tian et al. 2020, arXiv:2006.09214, section 2.2): the smallest box around a place that is its size.

    A place counts that lies in the box, nearer than ``radius`` strides to its centre, and whose farthest edge is
    at most 8 strides away, but more than 8 of the next finer level's. Only the few places around each box's centre
    are looked at, so the work does not grow with the image.

    Args:
        boxes: See the module.
        labels: See the module.
        centers: See the module.
        strides: Of the levels, in pixels.
        radius: In strides.
        spacing: From one place to the next, in strides, at least.

    Returns:
        (B, A) int64 index of the box, -1 for none.
    """
    size = torch.tensor(strides, dtype=torch.float32, device=boxes.device)
    upper = size * 8
    lower = torch.cat([upper.new_zeros(1), upper[:-1]])
    upper = torch.cat([upper[:-1], upper.new_full((1,), math.inf)])
    most = math.floor(2 * radius / spacing) + 2
    columns = _Around([level[0, :, 0] for level in centers], boxes[..., 0], boxes[..., 2], radius * size, most)
    rows = _Around([level[:, 0, 1] for level in centers], boxes[..., 1], boxes[..., 3], radius * size, most)

    farthest = torch.maximum(rows.farthest[..., :, None], columns.farthest[..., None, :])  # (B, M, L, R, C)
    fits = rows.near[..., :, None] & columns.near[..., None, :]
    fits &= (farthest > lower[:, None, None]) & (farthest < upper[:, None, None])
    fits &= (labels >= 0)[..., None, None, None]

    counts = [level.shape[0] * level.shape[1] for level in centers]
    total = sum(counts)
    start = torch.tensor([sum(counts[:i]) for i in range(len(counts))], device=boxes.device)
    width = torch.tensor([level.shape[1] for level in centers], device=boxes.device)
    place = start[:, None, None] + rows.index[..., :, None] * width[:, None, None] + columns.index[..., None, :]
    place = torch.where(fits, place, total)

    # Areas are compared as torchvision does, to which those that differ by less than 8 are alike.
    order = (1e8 - box_areas(boxes.float())).argsort(dim=1, descending=True, stable=True)  # (B, M)
    nobody = boxes.shape[1]
    best = torch.full((len(boxes), total + 1), nobody, device=boxes.device)
    rank = order.argsort(dim=1)[:, :, None].expand(-1, -1, place[0, 0].numel())
    best.scatter_reduce_(1, place.flatten(1), rank.flatten(1), reduce="amin")
    best = best[:, :total]
    matched = order.gather(1, best.clamp(max=nobody - 1))
    return torch.where(best < nobody, matched, -1)


class _Around:
    """The ``most`` places along one axis around the middle of each box: (B, M, L, most).

    Attributes:
        index: The places.
        near: Whether they are there, within the box, and nearer than the radius to its middle.
        farthest: Pixels to the farther edge of the box.
    """

    def __init__(self, centers: Sequence[Tensor], low: Tensor, high: Tensor, radius: Tensor, most: int) -> None:
        low, high = low[..., None, None], high[..., None, None]
        first = torch.stack([axis[0] for axis in centers])
        last = torch.stack([axis[-1] for axis in centers])
        count = torch.tensor([len(axis) for axis in centers], device=low.device)
        step = torch.where(count > 1, (last - first) / (count - 1).clamp(min=1), radius)  # (L,)
        middle = (low + high) / 2
        begin = ((middle - radius[:, None] - first[:, None]) / step[:, None]).floor()
        index = begin.long() + torch.arange(most, device=low.device)
        position = first[:, None] + index * step[:, None]
        near_edge, far_edge = position - low, high - position
        self.near = (index >= 0) & (index < count[:, None])
        self.near &= (torch.minimum(near_edge, far_edge) > 0) & ((position - middle).abs() < radius[:, None])
        self.farthest = torch.maximum(near_edge, far_edge)
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
    """RetinaNet's rule (Lin et al. 2017, arXiv:1708.02002, section 4, "Anchors"): the box that overlaps an anchor most.

    The anchors that overlap a box more than all others do count as foreground however little that is, as in
    Faster R-CNN (Ren et al. 2015, section 3.1.2). Overlaps along each axis are found once for a whole row or
    column of anchors; what is left for each pair of box and anchor is a product and a quotient.

    Args:
        boxes: See the module.
        labels: See the module.
        centers: See the module.
        shapes: (L, n, 2) width and height in pixels of each level's anchors.
        foreground_iou: The least overlap of foreground.
        background_iou: The least overlap of what is no background.

    Returns:
        (B, A) int64, the anchors of a place one after the other: index of the box, -1 for background, -2 between.
    """
    boxes = boxes.float()
    levels = [_Overlaps(boxes, places, sides) for places, sides in zip(centers, shapes, strict=True)]
    highest = torch.stack([level.highest.amax(dim=-1) for level in levels]).amax(dim=0)  # (B, M)
    highest = torch.where((labels >= 0) & (highest > 0), highest, 1)  # which no share reaches
    foreground, background = (iou / (1 + iou) for iou in (foreground_iou, background_iou))
    matched = []
    for level in levels:
        parts = zip(*level.best(), strict=True)
        share, box = (torch.cat(part, dim=2) for part in parts)
        index = torch.where(share < background, -1, -2)
        index = torch.where((share >= foreground) | level.reaches(highest), box, index)
        matched.append(index.permute(0, 2, 3, 1).flatten(1))  # (B, n, H, W) to (B, H * W * n)
    return torch.cat(matched, dim=1)


class _Overlaps:
    """All boxes with all anchors of one level.

    What counts here is a pair's share: the pixels both have of the sum of their areas. It is IoU / (1 + IoU), so it
    grows with the IoU, at one operation less.

    Attributes:
        highest: (B, M, n), the largest share of each box with an anchor of each shape; it lies where both axes
            overlap most.
    """

    def __init__(self, boxes: Tensor, centers: Tensor, shapes: Tensor) -> None:
        half = shapes / 2
        self.widths = _common(boxes[..., 0], boxes[..., 2], centers[0, :, 0], half[:, 0])  # (B, M, n, W)
        self.heights = _common(boxes[..., 1], boxes[..., 3], centers[:, 0, 1], half[:, 1])  # (B, M, n, H)
        self.areas = box_areas(boxes)[..., None] + shapes.prod(dim=-1)  # (B, M, n)
        self.highest = self.widths.amax(dim=-1) * self.heights.amax(dim=-1) / self.areas

    def reaches(self, highest: Tensor) -> Tensor:
        """Whether an anchor is one of those that overlap some box most of all: (B, n, H, W).

        Args:
            highest: (B, M), the largest share of each box on any level.
        """
        here = (self.highest == highest[..., None])[..., None]
        columns = here & (self.widths == self.widths.amax(dim=-1, keepdim=True))
        rows = self.heights == self.heights.amax(dim=-1, keepdim=True)
        return torch.einsum("bmnh,bmnw->bnhw", rows.float(), columns.float()) > 0

    def best(self) -> Iterator[tuple[Tensor, Tensor]]:
        """For some rows of places at a time, (B, n, rows, W): the largest share, and the first box that has it."""
        images, count, shapes, width = self.widths.shape
        height = self.heights.shape[-1]
        pairs = images * count * shapes * width
        rows = max(1, min(height, _AT_ONCE.get(self.widths.device.type, 2**26) // pairs))
        small = torch.uint8 if count < 2**8 else torch.int32
        order = torch.arange(count, 0, -1, device=self.widths.device)[:, None, None, None].to(small)
        for heights in torch.split(self.heights, rows, dim=-1):  # type: ignore[no-untyped-call]
            share = (self.widths[:, :, :, None, :] * heights[..., None]).div_(self.areas[..., None, None])
            most = share.amax(dim=1)  # of (B, M, n, rows, W)
            first = (share == most[:, None]).to(small).mul_(order).amax(dim=1)
            yield most, count - first.long()


def _common(low: Tensor, high: Tensor, centers: Tensor, half: Tensor) -> Tensor:
    """Pixels that boxes (B, M) and anchors share along one axis: (B, M, n, places)."""
    near = torch.maximum(low[..., None, None], centers - half[:, None])
    far = torch.minimum(high[..., None, None], centers + half[:, None])
    return (far - near).clamp(min=0)

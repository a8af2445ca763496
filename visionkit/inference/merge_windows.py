"""Objects that were found by overlapping windows, as those of the whole image."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from visionkit.structures.boxes import batched_nms, box_areas

__all__ = ["WindowPrediction", "merge_windows"]

_IOU_THRESHOLD = 0.5
_MAX_EDGE_DISTANCE = 0.01
"""Of a window's side: a box that ends so near to an inner edge is cut by it."""
_MIN_SCORE_RATIO = 0.5
"""A box that is not cut replaces parts of it unless its score is below this fraction of theirs."""


class WindowPrediction(NamedTuple):
    """What was found in one window.

    Attributes:
        corner: Left and top of the window in pixels of the image.
        size: Its height and width in pixels.
        outputs: ``boxes`` float32 (n, 4) xyxy in pixels of the window, ``scores`` (n,), ``labels`` (n,) and others of
            the same length.
    """

    corner: tuple[int, int]
    size: tuple[int, int]
    outputs: dict[str, Tensor]


def merge_windows(found: Sequence[WindowPrediction], image_size: tuple[int, int]) -> dict[str, Any]:
    """Join the objects of all windows, each of which is kept once.

    A window cuts objects at its inner edges. A cut box is dropped where a neighbour shows more of the object: where at
    least half of its area lies within a box of the same class from another window that is not cut, and whose score is
    not much lower. What is left goes through non-maximum suppression over the whole image. An object that is larger
    than the overlap may be cut by all windows; its parts are kept.

    Args:
        found: One or more windows.
        image_size: Height and width of the image.

    Returns:
        The outputs by descending score, boxes in pixels of the image.
    """
    counts = torch.tensor([len(window.outputs["labels"]) for window in found])
    outputs = {name: torch.cat([window.outputs[name] for window in found]) for name in found[0].outputs}
    corners = torch.tensor([window.corner for window in found])
    sizes = torch.tensor([window.size for window in found])
    windows = torch.cat([corners, corners + sizes.flip(1)], dim=1)  # xyxy
    owner = torch.arange(len(found)).repeat_interleave(counts)
    outputs["boxes"] = outputs["boxes"] + corners.repeat(1, 2)[owner]
    keep = ~_shown_better(outputs, _is_cut(outputs["boxes"], windows[owner], image_size), owner, windows)
    outputs = {name: values[keep] for name, values in outputs.items()}
    order = _suppress(outputs, cell=2 * sizes.max())
    order = order[outputs["scores"][order].argsort(descending=True, stable=True)]
    return {name: values[order] for name, values in outputs.items()}


def _suppress(outputs: dict[str, Tensor], *, cell: Tensor) -> Tensor:
    """Indices of the boxes that non-maximum suppression keeps.

    It is applied within square cells, so that its time grows with the image and not with the square of it, for four
    grids of cells: boxes that overlap enough are nearer to each other than a quarter of a cell, and lie together in a
    cell of at least one grid.
    """
    keep = torch.arange(len(outputs["labels"]))
    for shift in itertools.product((0.0, 0.5), repeat=2):
        boxes, scores, labels = (outputs[name][keep] for name in ("boxes", "scores", "labels"))
        centers = (boxes[:, :2] + boxes[:, 2:]) / 2
        cells = (centers / cell + torch.tensor(shift)).long()
        groups = torch.unique(torch.cat([cells, labels[:, None]], dim=1), dim=0, return_inverse=True)[1]
        is_kept = batched_nms(boxes[None], scores[None], groups[None], iou_threshold=_IOU_THRESHOLD)[0]
        keep = keep[is_kept]
    return keep


def _is_cut(boxes: Tensor, windows: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Whether boxes (n, 4) end at an edge of their windows (n, 4) that is none of the image: (n,) bool."""
    sides = (windows[:, 2:] - windows[:, :2]).repeat(1, 2)
    at_edge = (boxes - windows).abs() <= (sides * _MAX_EDGE_DISTANCE).clamp(min=1)
    limits = torch.tensor([0, 0, image_size[1], image_size[0]])
    return (at_edge & (windows != limits)).any(dim=1)


def _shown_better(outputs: dict[str, Tensor], is_cut: Tensor, owner: Tensor, windows: Tensor) -> Tensor:
    """Which cut boxes lie within one of the same class, not cut, from another window: (n,) bool.

    Each window is compared with those that it overlaps. Windows (w, 4) come row by row, and ``owner`` (n,) ascends.
    """
    boxes, scores, labels = (outputs[name] for name in ("boxes", "scores", "labels"))
    result = torch.zeros_like(is_cut)
    tops, bottoms = windows[:, 1].contiguous(), windows[:, 3].contiguous()
    for i in sorted(set(owner[is_cut].tolist())):
        left, top, right, bottom = windows[i]
        first, last = torch.searchsorted(bottoms, top, right=True), torch.searchsorted(tops, bottom)
        begin, end = torch.searchsorted(owner, torch.stack([first, last])).tolist()
        window_left, _, window_right, _ = windows[owner[begin:end]].unbind(dim=1)
        is_near = (window_left < right) & (window_right > left) & (owner[begin:end] != i) & ~is_cut[begin:end]
        others = begin + is_near.nonzero()[:, 0]
        cut = begin + ((owner[begin:end] == i) & is_cut[begin:end]).nonzero()[:, 0]
        near = torch.maximum(boxes[cut, None, :2], boxes[others, :2])
        far = torch.minimum(boxes[cut, None, 2:], boxes[others, 2:])
        inside = (far - near).clamp(min=0).prod(dim=2) / box_areas(boxes[cut])[:, None].clamp(min=1e-6)
        better = (
            (inside >= 0.5)
            & (labels[cut, None] == labels[others])
            & (scores[others] >= _MIN_SCORE_RATIO * scores[cut, None])
        )
        result[cut] = better.any(dim=1)
    return result

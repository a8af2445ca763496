"""Which detection finds which object, image by image, and the average precision of any choice of images.

As in COCO's evaluation (cocodataset.org/#detection-eval): K classes, T thresholds of the IoU, objects of any size, and
at most `MAX_DETECTIONS` of a class per image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Matches", "match_detections", "mean_average_precision"]

MAX_DETECTIONS = 100
_THRESHOLDS = numpy.linspace(0.5, 0.95, 10)
_RECALLS = torch.linspace(0, 1, 101, dtype=torch.float64)
_MAX_PAIRS = 1 << 20
_MAX_WEIGHTS = 1 << 24
_DRAWS_AT_ONCE = 100  # of a double for each image, 94 MB of 118,000


@dataclass(frozen=True)
class Matches:
    """The detections and objects of all images of a split.

    Attributes:
        images: (D,) int64, the position of each detection's image among the images, in order.
        classes: (D,) int64.
        scores: (D,), descending within an image and class.
        hits: (D, T) bool, whether a detection finds an object.
        ignored: (D, T) bool, whether it finds a crowd only, and does not count.
        objects: (N, K) int64, the objects of each image and class without crowds.
    """

    images: Tensor
    classes: Tensor
    scores: Tensor
    hits: Tensor
    ignored: Tensor
    objects: Tensor


def match_detections(
    ious: Mapping[tuple[int, int], Any],
    targets: Mapping[str, Any],
    detections: Mapping[str, Any],
    *,
    image_ids: Sequence[int],
    num_classes: int,
) -> Matches:
    """Match greedily by descending score, each detection with the free object of highest IoU.

    Args:
        ious: By image id and class the IoU of each detection, by descending score, with each object, (D, G), or empty;
            of a crowd, as COCO defines it.
        targets: Columns ``image_id``, ``category_id`` and ``iscrowd`` of all objects, those of an image in order.
        detections: Columns ``image_id``, ``category_id`` and ``score``.
        image_ids: The N images, ascending.
        num_classes: K.
    """
    ids = numpy.asarray(image_ids)
    image, category, score = (numpy.asarray(detections[name]) for name in ("image_id", "category_id", "score"))
    image = numpy.searchsorted(ids, image)
    order = numpy.lexsort((-score, category, image))
    groups = (image * num_classes + category)[order]
    starts = numpy.searchsorted(groups, groups)
    order = order[numpy.arange(len(order)) - starts < MAX_DETECTIONS]
    image, category, score = image[order], category[order], score[order]
    groups = image * num_classes + category

    object_groups = numpy.searchsorted(ids, numpy.asarray(targets["image_id"])) * num_classes
    object_groups = object_groups + numpy.asarray(targets["category_id"])
    crowd = numpy.asarray(targets["iscrowd"]).astype(bool)
    object_order = numpy.argsort(object_groups, kind="stable")
    sorted_groups, sorted_crowd = object_groups[object_order], crowd[object_order]
    pair_groups, values = _nonempty(ious, ids, num_classes)
    starts = numpy.searchsorted(groups, pair_groups)
    first, last = (numpy.searchsorted(sorted_groups, pair_groups, side=side) for side in ("left", "right"))
    pairs = [
        (each, start, sorted_crowd[begin:end])
        for each, start, begin, end in zip(values, starts.tolist(), first.tolist(), last.tolist(), strict=True)
    ]
    hits = numpy.zeros((len(order), len(_THRESHOLDS)), dtype=bool)
    ignored = numpy.zeros_like(hits)
    for chunk in _chunks(pairs):
        _match_chunk(chunk, hits, ignored)
    counts = numpy.bincount(object_groups[~crowd], minlength=len(ids) * num_classes).reshape(len(ids), num_classes)
    arrays = (image, category, score, hits, ignored, counts)
    return Matches(*(torch.from_numpy(numpy.ascontiguousarray(array)) for array in arrays))


def _nonempty(
    ious: Mapping[tuple[int, int], Any], ids: NDArray[Any], num_classes: int
) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """Groups, int64 (P,), and IoUs, (D, G) each, of the P images and classes with detections and objects."""
    found = [(key, numpy.asarray(values)) for key, values in ious.items() if len(values)]
    keys = numpy.array([key for key, _ in found], dtype=numpy.int64).reshape(-1, 2)
    return numpy.searchsorted(ids, keys[:, 0]) * num_classes + keys[:, 1], [values for _, values in found]


def _chunks(pairs: list[Any]) -> Iterator[list[Any]]:
    """Pairs of similar shapes, with at most `_MAX_PAIRS` IoUs when they are padded to one."""
    chunk: list[Any] = []
    rows = columns = 0
    for pair in sorted(pairs, key=lambda each: each[0].shape):
        rows, columns = max(rows, pair[0].shape[0]), max(columns, pair[0].shape[1])
        if chunk and (len(chunk) + 1) * rows * columns > _MAX_PAIRS:
            yield chunk
            chunk, (rows, columns) = [], pair[0].shape
        chunk.append(pair)
    if chunk:
        yield chunk


def _match_chunk(chunk: list[Any], hits: NDArray[Any], ignored: NDArray[Any]) -> None:
    """Set the rows of the detections of some images and classes, one rank of all of them at a time."""
    rows, columns = (max(values.shape[axis] for values, _, _ in chunk) for axis in (0, 1))
    ious = numpy.full((len(chunk), rows, columns), -1.0)
    is_crowd = numpy.zeros((len(chunk), columns), dtype=bool)
    for i, (values, _, crowd) in enumerate(chunk):
        ious[i, : values.shape[0], : values.shape[1]] = values
        is_crowd[i, : len(crowd)] = crowd
    starts = numpy.array([start for _, start, _ in chunk])
    lengths = numpy.array([len(values) for values, _, _ in chunk])
    thresholds = numpy.minimum(_THRESHOLDS, 1 - 1e-10)
    free = numpy.repeat(~is_crowd[:, None], len(thresholds), axis=1)  # (P, T, G)
    for rank in range(rows):
        here = numpy.flatnonzero(lengths > rank)
        row = ious[here, rank]  # (p, G)
        candidates = numpy.where(free[here], row[:, None], -1.0)
        best = columns - 1 - candidates[..., ::-1].argmax(axis=-1)  # the last of equal ones, as COCO takes
        found = numpy.take_along_axis(candidates, best[..., None], axis=-1)[..., 0] >= thresholds  # (p, T)
        in_crowd = numpy.where(is_crowd[here], row, -1.0).max(axis=-1)[:, None] >= thresholds
        hits[starts[here] + rank] = found
        ignored[starts[here] + rank] = ~found & in_crowd
        pair, threshold = found.nonzero()
        free[here[pair], threshold, best[pair, threshold]] = False


def mean_average_precision(matches: Matches, draws: Tensor) -> Tensor:
    """COCO's mean average precision, interpolated at 101 recalls, of images that count several times or not.

    Args:
        matches: The detections and objects of N images.
        draws: (R, N) uint8, how often each image counts.

    Returns:
        (R,) float64; NaN where there are no objects.
    """
    counts = matches.objects.double()
    parts: Any = torch.split(draws, _DRAWS_AT_ONCE)  # type: ignore[no-untyped-call]
    objects: Tensor = torch.cat([part.double() @ counts for part in parts])  # (R, K)
    total = torch.zeros(len(draws), dtype=torch.float64)
    for class_id in matches.objects.sum(dim=0).nonzero().flatten().tolist():
        rows = (matches.classes == class_id).nonzero().flatten()
        rows = rows[matches.scores[rows].argsort(descending=True, stable=True)]
        step = max(1, _MAX_WEIGHTS // max(len(rows), 1))
        for start in range(0, len(draws), step):
            part = slice(start, start + step)
            total[part] += _average_precision(matches, rows, draws[part].numpy(), objects[part, class_id])
    mean: Tensor = total / (objects > 0).sum(dim=1)
    return mean


def _average_precision(matches: Matches, rows: Tensor, draws: NDArray[Any], num_objects: Tensor) -> Tensor:
    """The average precision of one class, (r,), over the thresholds; ``rows`` are its detections by score."""
    # NumPy adds up along rows ten times as fast as torch.
    weights = draws.take(matches.images[rows].numpy(), axis=1)  # (r, D)
    sums = weights.cumsum(axis=1, dtype=numpy.int32)
    ignored, all_hits = matches.ignored[rows].numpy(), matches.hits[rows].numpy()
    result = torch.zeros(len(draws), dtype=torch.float64)
    recalls = _RECALLS.expand(len(result), -1).contiguous()
    for threshold in range(ignored.shape[1]):
        hits = all_hits[:, threshold].nonzero()[0]
        if not len(hits):
            continue
        counted = sums.take(hits, axis=1)
        out = ignored[:, threshold].nonzero()[0]
        if len(out):
            left_out = weights.take(out, axis=1).cumsum(axis=1, dtype=numpy.int32)
            left_out = numpy.pad(left_out, ((0, 0), (1, 0)))
            counted -= left_out.take(numpy.searchsorted(out, hits), axis=1)
        found = weights.take(hits, axis=1).cumsum(axis=1, dtype=numpy.int32)
        precision = found / counted.clip(min=1)
        highest = torch.from_numpy(numpy.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1].copy())
        recall = torch.from_numpy(found) / num_objects[:, None].clamp(min=1)
        index = torch.searchsorted(recall, recalls)
        reached = index < recall.shape[1]
        result += torch.where(reached, highest.gather(1, index.clamp(max=recall.shape[1] - 1)), 0).mean(dim=1)
    return result / len(_THRESHOLDS)

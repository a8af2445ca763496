"""The boxes of a set: over each other, out of their images, and on the levels of the head."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

from visionkit.checking.data_set import SPLITS, DataSet
from visionkit.checking.outliers import deviations
from visionkit.data.findings import Finding

if TYPE_CHECKING:
    from visionkit.data.annotations import Annotations

__all__ = [
    "annotated_splits", "box_iou", "check_boxes", "check_counts", "check_levels", "check_overlaps", "object_places",
]  # fmt: skip

_ALIKE = 0.9
"""The IoU of two boxes that were meant to be one."""
_WHOLE = 0.99
_TINY = 2.0
_FAR = 10.0
_FEW = 20
_LEAST_COUNT = 2.0
_UNMATCHED = 0.01
_OUT = 0.2
_CHUNK = 2_000_000
_CROWDED = 2_000
"""Objects of an image of which all pairs are compared."""


def check_overlaps(data: DataSet) -> list[Finding]:
    """Findings on objects whose boxes are nearly the same."""
    alike, two_classes = list[str](), list[str]()
    for split, marked in annotated_splits(data):
        boxes, labels = marked.objects.boxes.astype(numpy.float64), marked.objects.labels
        crowd = marked.objects.crowd
        for first, second in _pairs(marked.counts):
            keep = ~crowd[first] & ~crowd[second]
            first, second = first[keep], second[keep]
            near = box_iou(boxes[first], boxes[second]) >= _ALIKE
            first, second = first[near], second[near]
            same = labels[first] == labels[second]
            alike += object_places(data, split, marked, second[same])
            two_classes += object_places(data, split, marked, second[~same])
    return [*Finding.of("boxes-alike", alike), *Finding.of("boxes-two-classes", two_classes)]


def check_boxes(data: DataSet) -> list[Finding]:
    """Findings on boxes beside their images: as large, or of nothing at the size of training."""
    whole, tiny = list[str](), list[str]()
    sizes = data.sizes
    for split, marked in annotated_splits(data):
        image = _image_of(marked)
        original, fitted = (part[split][image] for part in sizes)
        boxes = marked.objects.boxes.astype(numpy.float64)
        sides = boxes[:, 2:] - boxes[:, :2]
        known = original[:, 0] > 0
        with numpy.errstate(invalid="ignore", divide="ignore"):
            share = sides / original[:, ::-1]
            small = (sides * fitted[:, ::-1] / original[:, ::-1]).min(axis=1)
        whole += object_places(data, split, marked, numpy.flatnonzero(known & (share.min(axis=1) >= _WHOLE)))
        crowd = marked.objects.crowd
        tiny += object_places(data, split, marked, numpy.flatnonzero(known & ~crowd & (small < _TINY)))
    size = _size_text(data)
    return [*Finding.of("box-whole-image", whole), *Finding.of("object-tiny", tiny, size=size), *_many_outside(data)]


def _many_outside(data: DataSet) -> list[Finding]:
    """An error if so many boxes were clipped or dropped that they must be read otherwise than they were written."""
    outside = sum(f.count for f in data.findings if f.code in ("box-outside", "box-clipped"))
    dropped = sum(f.count for f in data.findings if f.code == "box-outside")
    total = dropped + sum(len(annotations.objects) for _, annotations in annotated_splits(data))
    if not total or outside < _OUT * total:
        return []
    share = round(100 * outside / total)
    return [Finding.counted("boxes-out-often", share, places=f"{outside:,}", all=f"{total:,}")]


def check_levels(data: DataSet) -> list[Finding]:
    """A finding on the objects of train that no level of the head can take."""
    annotations = dict(annotated_splits(data)).get("train")
    if data.levels is None or annotations is None:
        return []
    original, fitted = (part["train"][_image_of(annotations)] for part in data.sizes)
    keep = ~annotations.objects.crowd & (original[:, 0] > 0)
    factors = (fitted[keep] / original[keep])[:, ::-1]
    boxes = annotations.objects.boxes[keep].astype(numpy.float64) * numpy.tile(factors, 2)
    missed = numpy.flatnonzero(~data.levels.takes(boxes))
    if len(missed) <= _UNMATCHED * len(boxes):
        return []
    sides = numpy.sqrt((boxes[missed, 2:] - boxes[missed, :2]).prod(axis=1))
    rows = numpy.flatnonzero(keep)[missed]
    return [
        Finding.counted(
            "objects-unmatched", round(100 * len(missed) / len(boxes)), object_places(data, "train", annotations, rows),
            number=f"{len(missed):,}", all=f"{len(boxes):,}", low=f"{sides.min():.1f}", high=f"{sides.max():.1f}",
            size=_size_text(data), stride=str(max(1, data.levels.strides[0] // 2)),
        )
    ]  # fmt: skip


def check_counts(data: DataSet) -> list[Finding]:
    """Findings on images with very many objects, and on the share of background."""
    odd, over = list[str](), list[str]()
    most = 0
    for split, marked in annotated_splits(data):
        counts = marked.counts
        if len(counts) >= _FEW:
            far = deviations(counts, least=max(_LEAST_COUNT, 0.25 * float(numpy.median(counts)))) > _FAR
            odd += [f"{data.place(split, i)} ({counts[i]:,})" for i in numpy.flatnonzero(far).tolist()]
        if data.max_detections is not None:
            rows = numpy.flatnonzero(counts > data.max_detections)
            over += [f"{data.place(split, i)} ({counts[i]:,})" for i in rows.tolist()]
            most = max(most, int(counts.max(initial=0)))
    findings = Finding.of("count-odd", odd)
    findings += Finding.of("objects-over-limit", over, limit=str(data.max_detections), most=str(most))
    return [*findings, *_background(data)]


def _background(data: DataSet) -> list[Finding]:
    """The share of train's area that lies in no box, if it is most of it; overlaps are counted twice."""
    annotations = dict(annotated_splits(data)).get("train")
    if annotations is None:
        return []
    sizes = data.sizes[0]["train"]
    boxes = annotations.objects.boxes.astype(numpy.float64)
    covered = numpy.zeros(len(sizes))
    numpy.add.at(covered, _image_of(annotations), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
    area = sizes.prod(axis=1).astype(numpy.float64)
    known = area > 0
    if not known.any():
        return []
    free = 1 - float(numpy.minimum(covered[known], area[known]).sum() / area[known].sum())
    return [Finding.counted("images-background", round(100 * free))] if free >= 0.95 else []


def annotated_splits(data: DataSet) -> Iterator[tuple[str, Annotations]]:
    """The objects of each split that has some."""
    for split in SPLITS:
        samples = data.splits.get(split)
        if samples is not None and samples.annotations is not None:
            yield split, samples.annotations


def _image_of(annotations: Annotations) -> NDArray[Any]:
    """The image of each object, int64 (n,)."""
    return numpy.repeat(numpy.arange(len(annotations)), annotations.counts)


def object_places(data: DataSet, split: str, annotations: Annotations, rows: NDArray[Any]) -> list[str]:
    """Where objects are: the file, and the number of the object in it, from 1."""
    image = numpy.searchsorted(annotations.starts, rows, side="right") - 1
    number = rows - annotations.starts[image] + 1
    return [f"{data.place(split, i)} object {at}" for i, at in zip(image.tolist(), number.tolist(), strict=True)]


def _pairs(counts: NDArray[Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """All pairs of objects of one image, in blocks; images of one number of objects are taken together."""
    starts = numpy.concatenate([[0], numpy.cumsum(counts)])[:-1]
    for count in numpy.unique(counts[counts > 1]).tolist():
        first, second = numpy.triu_indices(min(count, _CROWDED), k=1)
        images = starts[counts == count]
        step = max(1, _CHUNK // len(first))
        for begin in range(0, len(images), step):
            base = images[begin : begin + step, None]
            yield (base + first).ravel(), (base + second).ravel()


def box_iou(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """The IoU of boxes in pairs, float64 (n,)."""
    inner = (numpy.minimum(one[:, 2:], other[:, 2:]) - numpy.maximum(one[:, :2], other[:, :2])).clip(min=0).prod(axis=1)
    areas = (one[:, 2:] - one[:, :2]).prod(axis=1) + (other[:, 2:] - other[:, :2]).prod(axis=1)
    ratio: NDArray[Any] = inner / numpy.maximum(areas - inner, 1e-9)
    return ratio


def _size_text(data: DataSet) -> str:
    height, width = data.info.image_size if data.info is not None else (0, 0)
    return str(height) if height == width else f"[{height},{width}]"

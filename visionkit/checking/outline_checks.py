"""The outlines of objects: beside their boxes, their declared areas, and themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

from visionkit.checking.box_checks import annotated_splits, box_iou, object_places
from visionkit.checking.data_set import DataSet
from visionkit.data.findings import Finding

if TYPE_CHECKING:
    from visionkit.data.polygons import Polygons

__all__ = ["check_outlines"]

_ALIKE = 0.8
_AREA = 0.2
_LEAST_AREA = 25.0
_MAX_CROSSED = 20_000
_MAX_POINTS = 400
"""Of a ring whose segments are compared in pairs."""


def check_outlines(data: DataSet) -> list[Finding]:
    """Findings on outlines of objects."""
    differ, areas, crossed = list[str](), list[str](), list[str]()
    for split, marked in annotated_splits(data):
        shapes, boxes = marked.objects.segmentations, marked.objects.boxes.astype(numpy.float64)
        if shapes is None or not len(shapes):
            continue
        rows = numpy.flatnonzero(~shapes.is_rle & (numpy.diff(shapes.starts) > 0) & ~marked.objects.crowd)
        if not len(rows):
            continue
        outlines = shapes[rows]
        bounds = outlines.bounds(numpy.ones((len(rows), 2), dtype=numpy.int64))
        apart = rows[box_iou(boxes[rows], bounds) < _ALIKE]
        differ += object_places(data, split, marked, apart)
        computed, declared = polygon_areas(outlines), marked.objects.area[rows].astype(numpy.float64)
        of_box = (boxes[rows, 2:] - boxes[rows, :2]).prod(axis=1)
        is_declared = numpy.abs(declared - of_box) > 1.0  # a set without areas has those of the boxes
        far = numpy.abs(declared - computed) > numpy.maximum(_AREA * computed, _LEAST_AREA)
        areas += object_places(data, split, marked, rows[is_declared & far])
        looked = range(min(len(rows), _MAX_CROSSED))
        crossing = [row for row in looked if _crosses_itself(outlines, row)]
        crossed += object_places(data, split, marked, rows[crossing])
    return [
        *Finding.of("box-differs-outline", differ), *Finding.of("area-differs", areas),
        *Finding.of("outline-crossed", crossed),
    ]  # fmt: skip


def polygon_areas(outlines: Polygons) -> NDArray[Any]:
    """The area of each object's rings, float64 (n,): half the sum of cross products of neighbouring points."""
    points = outlines.values.reshape(-1, 2)
    starts = outlines.starts // 2
    owner = numpy.repeat(numpy.arange(len(outlines)), numpy.diff(starts))
    is_gap = numpy.isnan(points[:, 0])
    is_first = numpy.zeros(len(points), dtype=bool)
    is_first[starts[:-1]] = True
    is_first[1:] |= is_gap[:-1]
    ring = numpy.cumsum(is_first) - 1
    first_of_ring = numpy.flatnonzero(is_first)
    following = numpy.minimum(numpy.arange(len(points)) + 1, len(points) - 1)
    is_last = numpy.ones(len(points), dtype=bool)
    is_last[:-1] = is_first[1:] | is_gap[1:]
    following[is_last] = first_of_ring[ring[is_last]]
    x, y = points.T
    cross = numpy.where(is_gap, 0.0, x * y[following] - x[following] * y)
    of_ring = numpy.abs(numpy.bincount(ring, weights=numpy.nan_to_num(cross), minlength=len(first_of_ring))) / 2
    areas: NDArray[Any] = numpy.bincount(owner[first_of_ring], weights=of_ring, minlength=len(outlines))
    return areas


def _crosses_itself(outlines: Polygons, row: int) -> bool:
    """Whether two segments of a ring cross, neighbours aside."""
    values = outlines.values[outlines.starts[row] : outlines.starts[row + 1]].reshape(-1, 2)
    gaps = numpy.flatnonzero(numpy.isnan(values[:, 0])).tolist()
    return any(
        _ring_crosses(values[start:end])
        for start, end in zip([0, *(gap + 1 for gap in gaps)], [*gaps, len(values)], strict=True)
    )


def _ring_crosses(ring: NDArray[Any]) -> bool:
    ring = ring[numpy.append(True, (numpy.diff(ring, axis=0) != 0).any(axis=1))]
    if len(ring) > 1 and (ring[0] == ring[-1]).all():
        ring = ring[:-1]
    count = len(ring)
    if count < 4 or count > _MAX_POINTS:
        return False
    begin, end = ring, numpy.roll(ring, -1, axis=0)
    first, second = numpy.triu_indices(count, k=2)
    keep = ~((first == 0) & (second == count - 1))
    first, second = first[keep], second[keep]
    a, b, c, d = begin[first], end[first], begin[second], end[second]
    return bool(((_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)).any())


def _side(a: NDArray[Any], b: NDArray[Any], point: NDArray[Any]) -> NDArray[Any]:
    """On which side of the line from a to b a point lies, by its sign."""
    turned: NDArray[Any] = (b[:, 0] - a[:, 0]) * (point[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (point[:, 0] - a[:, 0])
    return turned

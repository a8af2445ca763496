"""The segmentations of objects in COCO's JSON files: polygons, run lengths and compressed run lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.outlines import MIN_VALUES
from visionkit.data.polygons import Polygons
from visionkit.data.sources.coco.run_lengths import read_runs

__all__ = ["Segmentations", "read_segmentations"]

_FEW_POINTS = "outline-few-points"
_NO_NUMBERS = "outline-no-number"
_NOTHING = "outline-missing"


@dataclass(frozen=True)
class Segmentations:
    """The valid segmentations among those of n objects.

    Attributes:
        polygons: The m valid ones.
        rows: int64 (m,), their objects, ascending.
        sizes: int64 (m, 2), height and width that run lengths state; 0 for outlines.
        problems: Pairs of an object's row and the code of a finding. An object of several polygons, some of which are
            valid, has a problem and a segmentation.
    """

    polygons: Polygons
    rows: NDArray[Any]
    sizes: NDArray[Any]
    problems: Sequence[tuple[int, str]]


def read_segmentations(entries: Sequence[Any], sizes: NDArray[Any], *, max_pixels: int) -> Segmentations:
    """Read the ``segmentation`` of objects.

    Args:
        entries: The JSON values: ``[[x, y, ...], ...]``, one ring as ``[x, y, ...]`` or ``[[x, y], ...]``, or
            ``{"size": [h, w], "counts": [...] or "..."}``.
        sizes: int64 (n, 2), height and width of each object's image, 0 where unknown.
        max_pixels: The pixels of the largest image of which run lengths are believed.
    """
    rings_of = {row: entry for row, entry in enumerate(entries) if _is_plain(entry)}
    polygons = _plain_outlines(list(rings_of.values()))
    if polygons is None:
        rings_of, polygons = {}, Polygons.from_list([], is_rle=False)
    values, is_rle, rows = list[NDArray[Any]](), list[bool](), list[int]()
    stated, problems = numpy.zeros((len(entries), 2), dtype=numpy.int64), list[tuple[int, str]]()
    for row, entry in enumerate(entries):
        if row in rings_of:
            continue
        if isinstance(entry, dict):
            height, width = sizes[row].tolist()
            shape, stated[row], problem = read_runs(entry, (height, width), max_pixels=max_pixels)
        else:
            shape, problem = _outline(entry)
        if problem:
            problems.append((row, problem))
        if shape is not None:
            values.append(shape)
            is_rle.append(isinstance(entry, dict))
            rows.append(row)
    all_rows = numpy.array([*rings_of, *rows], dtype=numpy.int64)
    if rows:
        order = numpy.argsort(all_rows, kind="stable")
        all_rows = all_rows[order]
        polygons = Polygons.join([polygons, Polygons.from_list(values, is_rle=is_rle)])[order]
    return Segmentations(polygons, all_rows, stated[all_rows], problems)


def _is_plain(entry: Any) -> bool:
    """Whether an entry has the usual form of outlines: lists of an even number of values, enough for a triangle."""
    return type(entry) is list and bool(entry) and all(
        type(ring) is list and len(ring) >= MIN_VALUES and not len(ring) % 2 for ring in entry
    )  # fmt: skip


def _plain_outlines(entries: Sequence[Sequence[Sequence[Any]]]) -> Polygons | None:
    """The polygons of many entries at once; None if a value among them is no finite number."""
    lengths = [len(ring) for entry in entries for ring in entry]
    counts = numpy.array([len(entry) for entry in entries], dtype=numpy.int64)
    rings = chain.from_iterable(entries)
    try:
        flat = numpy.fromiter(chain.from_iterable(rings), dtype=numpy.float64, count=sum(lengths))
    except (TypeError, ValueError, OverflowError):
        return None
    if not numpy.isfinite(flat).all():
        return None
    ring_starts = numpy.cumsum([0, *lengths])
    first_rings = numpy.cumsum(counts) - counts
    # a pair of NaN before each ring that is not the first of its object
    is_later = numpy.ones(len(lengths), dtype=bool)
    is_later[first_rings] = False
    breaks = numpy.repeat(ring_starts[:-1][is_later], 2)
    values = numpy.insert(flat, breaks, numpy.nan) if len(breaks) else flat
    starts = numpy.append(ring_starts[first_rings] + 2 * (first_rings - numpy.arange(len(counts))), len(values))
    return Polygons(starts, values, numpy.zeros(len(counts), dtype=bool))


def _outline(entry: Any) -> tuple[NDArray[Any] | None, str]:
    """The valid polygons of an object, separated by pairs of NaN, or None, and a problem or an empty text."""
    if not entry:
        return None, _NOTHING
    if not isinstance(entry, list):
        return None, _NO_NUMBERS
    is_one_ring = not isinstance(entry[0], (list, str, dict)) or (
        len(entry) * 2 >= MIN_VALUES and all(isinstance(point, list) and len(point) == 2 for point in entry)
    )
    rings: list[NDArray[Any]] = []
    problem = ""
    for ring in [entry] if is_one_ring else entry:
        try:
            points = numpy.array(ring, dtype=numpy.float64)
        except (TypeError, ValueError, OverflowError):
            problem = _NO_NUMBERS
            continue
        points = points.ravel() if points.ndim == 2 and points.shape[1] == 2 else points
        if points.ndim != 1 or len(points) % 2 or not numpy.isfinite(points).all():
            problem = _NO_NUMBERS
        elif len(points) < MIN_VALUES:
            problem = _FEW_POINTS
        else:
            rings += [numpy.full(2, numpy.nan), points]
    return (numpy.concatenate(rings[1:]), problem) if rings else (None, problem)

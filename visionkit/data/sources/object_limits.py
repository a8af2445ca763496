"""Limits of what the objects of one image cost, in files that repeat themselves or are made to exhaust a machine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.findings import Finding
from visionkit.data.image_header import read_size
from visionkit.data.outlines import MAX_LENGTH, clip_ring, ring_length, split_rings
from visionkit.data.polygons import Polygons
from visionkit.data.sources.annotations import AnnotatedImages, ParsedDataset
from visionkit.errors import UserError

__all__ = ["MAX_MASK_PIXELS", "MAX_OBJECTS", "MAX_STEPS", "limit_masks", "limit_objects"]

MAX_OBJECTS = 2000
"""The number of objects of an image; heads propose a thousand."""
MAX_STEPS = 4 * MAX_LENGTH
"""The points of an image's outlines and their length in pixels, together: half a second to rasterize them."""
MAX_MASK_PIXELS = 1 << 33
"""The pixels of an image times its objects: some ten seconds to make a mask of each."""

_STEPS_PER_RING = 100
_MAX_SIDE = 16_384  # of images whose size is not looked up where their objects are few
_NUM_THREADS = 8


def limit_objects(parsed: ParsedDataset[AnnotatedImages]) -> ParsedDataset[AnnotatedImages]:
    """The data set with the first `MAX_OBJECTS` objects of each image, and a finding on those that had more."""
    splits, crowded = dict(parsed.splits), list[str]()
    for split, images in parsed.splits.items():
        counts = images.annotations.counts
        rows = numpy.flatnonzero(counts > MAX_OBJECTS)
        if len(rows):
            crowded += [images.names[row] for row in rows.tolist()]
            splits[split] = replace(images, annotations=images.annotations.first(MAX_OBJECTS))
    if not crowded:
        return parsed
    findings = Finding.of("too-many-objects", crowded, limit=f"{MAX_OBJECTS:,}")
    return replace(parsed, splits=splits, findings=[*parsed.findings, *findings])


def limit_masks(parsed: ParsedDataset[AnnotatedImages]) -> ParsedDataset[AnnotatedImages]:
    """The data set with as many objects of each image as can be rasterized in seconds, and a finding on the others.

    These are the first of an image, up to `MAX_STEPS` and `MAX_MASK_PIXELS`.
    """
    splits, cut = dict(parsed.splits), list[str]()
    for split, images in parsed.splits.items():
        outlines = images.annotations.objects.segmentations
        if outlines is None or not len(outlines):
            continue
        counts, starts = images.annotations.counts, images.annotations.starts
        values = numpy.diff(outlines.starts[starts])
        sides = numpy.where(images.sizes > 0, images.sizes, _MAX_SIDE).max(axis=1)
        most_steps = values * (2 * sides + _STEPS_PER_RING)  # each edge from side to side, each point a ring
        rows = numpy.flatnonzero((most_steps > MAX_STEPS) | (counts * sides * sides > MAX_MASK_PIXELS))
        limits = counts.copy()
        for row, size in zip(rows.tolist(), _find_sizes(parsed, images, rows), strict=True):
            units = size[::-1] if images.relative else (1, 1)
            limits[row] = _count_affordable(outlines[starts[row] : starts[row + 1]], units, size)
        crowded = numpy.flatnonzero(counts > limits).tolist()
        if crowded:
            cut += [f"{images.names[row]} ({limits[row]:,} of {counts[row]:,} left)" for row in crowded]
            splits[split] = replace(images, annotations=images.annotations.first(limits))
    if not cut:
        return parsed
    return replace(parsed, splits=splits, findings=[*parsed.findings, *Finding.of("masks-too-large", cut)])


def _find_sizes(
    parsed: ParsedDataset[AnnotatedImages], images: AnnotatedImages, rows: NDArray[Any]
) -> list[tuple[int, int]]:
    """Height and width of images, from their headers where unknown; 0 for what cannot be read."""

    def find(row: int) -> tuple[int, int]:
        if images.sizes[row].all():
            return int(images.sizes[row, 0]), int(images.sizes[row, 1])
        try:
            return read_size(parsed.root / images.names[row])
        except UserError:
            return 0, 0

    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        return list(pool.map(find, rows.tolist()))


def _count_affordable(outlines: Polygons, units: tuple[int, int], size: tuple[int, int]) -> int:
    """How many of an image's objects, from the first on, take no more than `MAX_STEPS` and `MAX_MASK_PIXELS`.

    Args:
        outlines: The objects.
        units: The pixels of a unit along x and along y.
        size: Height and width of the image, in pixels; 0 for one that cannot be read, and is left out.
    """
    affordable = min(len(outlines), MAX_MASK_PIXELS // max(1, size[0] * size[1]))
    differences = numpy.abs(outlines.values[2:] - outlines.values[:-2]) * max(units)
    if 2 * numpy.nansum(differences) + _STEPS_PER_RING * len(outlines.values) <= MAX_STEPS:  # with the closing edges
        return affordable
    steps = 0.0
    for row in range(affordable):
        values = outlines.values[outlines.starts[row] : outlines.starts[row + 1]]
        steps += len(values) if outlines.is_rle[row] else _steps(values * numpy.resize(units, len(values)), size)
        if steps > MAX_STEPS:
            return row
    return affordable


def _steps(values: NDArray[Any], size: tuple[int, int]) -> float:
    """The work of rasterizing an outline (v,) within its image: its length, its points and its rings."""
    rings = split_rings(values)
    steps = float(_STEPS_PER_RING * len(rings) + len(values))
    return steps if steps > MAX_STEPS else steps + sum(ring_length(clip_ring(ring, *size)) for ring in rings)

"""Outlines as parsed from a data set's files: those that cannot be used dropped, those out of the image named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.findings import Finding
from visionkit.data.outlines import MAX_LENGTH, clip_ring, ring_length, split_rings
from visionkit.data.polygons import Polygons
from visionkit.data.sources.annotations import CLIP_TOLERANCE, RELATIVE_CLIP_TOLERANCE, row_findings

__all__ = ["clean_outlines"]


def clean_outlines(
    outlines: Polygons, sizes: NDArray[Any] | None, locate: Callable[[int], str]
) -> tuple[NDArray[Any], list[Finding]]:
    """Find the outlines that have no part in their image, and those that reach out of it.

    The outlines stay as they are: what lies outside is clipped where they are rasterized.

    Args:
        outlines: The segmentations of n objects; run lengths pass.
        sizes: int64 (n, 2), height and width of each object's image, 0 where unknown: such an image has no edge on the
            right and below. None for outlines that are fractions of the image's sides.
        locate: Maps an object's row to its location in the files, for findings.

    Returns:
        The rows of the valid objects, int64 (m,), and findings on the others and on those that are clipped.
    """
    tolerance = RELATIVE_CLIP_TOLERANCE if sizes is None else CLIP_TOLERANCE
    known = numpy.ones((len(outlines), 2)) if sizes is None else sizes
    limits = numpy.where(known > 0, known, numpy.inf)[:, ::-1]
    is_outline = ~outlines.is_rle
    bounds = outlines.bounds(numpy.zeros((len(outlines), 2), dtype=numpy.int64))
    no_number = is_outline & (~numpy.isfinite(bounds).all(axis=1) | _has_stray_nan(outlines))
    with numpy.errstate(invalid="ignore"):
        usable = is_outline & ~no_number
        is_outside = usable & ((bounds[:, 2:] <= 0) | (bounds[:, :2] >= limits)).any(axis=1)
        reaches_out = (bounds[:, :2] < -tolerance) | (bounds[:, 2:] > limits + tolerance)
    is_long = _are_long(outlines, numpy.zeros_like(known) if sizes is None else sizes, usable & ~is_outside)
    valid = ~no_number & ~is_outside & ~is_long
    return numpy.flatnonzero(valid), [
        *row_findings("outline-no-number", no_number, locate),
        *row_findings("outline-outside", is_outside, locate),
        *row_findings("outline-too-long", is_long, locate),
        *row_findings("outline-clipped", usable & valid & reaches_out.any(axis=1), locate),
    ]


def _has_stray_nan(outlines: Polygons) -> NDArray[Any]:
    """Which objects, bool (n,), have a NaN that is not one of a pair between rings."""
    stray = numpy.zeros(len(outlines), dtype=bool)
    if outlines.is_rle.any():
        rows = numpy.flatnonzero(~outlines.is_rle)
        stray[rows] = _has_stray_nan(outlines[rows]) if len(rows) else False
        return stray
    is_nan = numpy.isnan(outlines.values.reshape(-1, 2))
    points = numpy.flatnonzero(is_nan[:, 0] != is_nan[:, 1])
    stray[numpy.searchsorted(outlines.starts, 2 * points, side="right") - 1] = True
    return stray


def _are_long(outlines: Polygons, sizes: NDArray[Any], candidates: NDArray[Any]) -> NDArray[Any]:
    """Which of the candidates, bool (n,), are longer than `MAX_LENGTH` within their image and its surroundings."""
    is_long = numpy.zeros(len(outlines), dtype=bool)
    most = numpy.diff(outlines.starts) * 2 * sizes.max(axis=1, initial=0)  # four sides from edge to edge per point
    for row in numpy.flatnonzero(candidates & (most > MAX_LENGTH)).tolist():
        height, width = sizes[row].tolist()
        rings = split_rings(outlines.values[outlines.starts[row] : outlines.starts[row + 1]])
        is_long[row] = sum(ring_length(clip_ring(ring, height, width)) for ring in rings) > MAX_LENGTH
    return is_long

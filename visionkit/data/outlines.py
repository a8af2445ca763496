"""Clipping of outlines before they are rasterized; without torch.

pycocotools walks along an outline in steps of a fifth of a pixel and keeps each step, whether it lies in the image or
not: a point at 1e9 ends the interpreter in C, a long zigzag fills the memory.
"""

from __future__ import annotations

from typing import Any

import numpy
from numpy.typing import NDArray

__all__ = ["MAX_LENGTH", "MIN_VALUES", "clip_ring", "ring_length", "split_rings"]

MAX_LENGTH = 1 << 20
"""The length of an object's outline, in pixels, above which it is not rasterized: a hundred megabytes of steps."""

MIN_VALUES = 6
"""The number of values of the shortest ring, a triangle."""

_MAX_COORDINATE = 1e12  # above it, differences of coordinates lose what is within the image


def split_rings(values: NDArray[Any]) -> list[NDArray[Any]]:
    """The rings of an outline, each (v,), which pairs of NaN separate in ``values``."""
    breaks = numpy.flatnonzero(numpy.isnan(values.reshape(-1, 2)).any(axis=1))
    if not len(breaks):
        return [values]
    starts = [0, *(2 * breaks + 2).tolist()]
    return [values[start:end] for start, end in zip(starts, [*(2 * breaks).tolist(), len(values)], strict=True)]


def clip_ring(ring: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Clip a ring to the image and a margin around it, as wide as the image's longer side.

    The pixels within the image stay what they are, to the last bit for a ring that does not leave the margin, because
    no edge within the image moves (Sutherland and Hodgman 1974, "Reentrant polygon clipping").

    Args:
        ring: float64 (v,), x, y, x, y, ... in pixels.
        height: The height of the image, in pixels.
        width: Its width, in pixels.

    Returns:
        float64 (w,); fewer than `MIN_VALUES` if nothing is left.
    """
    margin = float(max(height, width))
    points = numpy.clip(ring.reshape(-1, 2), -_MAX_COORDINATE, _MAX_COORDINATE)
    for axis, side in ((0, width), (1, height)):
        points = _clip_half_plane(points, axis, -margin, sign=1)
        points = _clip_half_plane(points, axis, side + margin, sign=-1)
    clipped: NDArray[Any] = points.ravel()
    return clipped


def ring_length(ring: NDArray[Any]) -> float:
    """The length of a closed ring (v,) as pycocotools counts its steps: the longer of the two extents of each edge."""
    points = ring.reshape(-1, 2)
    return float(numpy.abs(points - numpy.roll(points, 1, axis=0)).max(axis=1, initial=0).sum())


def _clip_half_plane(points: NDArray[Any], axis: int, limit: float, *, sign: int) -> NDArray[Any]:
    """The part of a closed ring of points (n, 2) where ``sign * coordinate >= sign * limit``."""
    distance = sign * (points[:, axis] - limit)
    inside = distance >= 0
    if inside.all():
        return points
    following = numpy.roll(points, -1, axis=0)
    crosses = inside != numpy.roll(inside, -1)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        fraction = numpy.where(crosses, distance / (distance - numpy.roll(distance, -1)), 0)
    crossings = points + fraction[:, None] * (following - points)
    crossings[:, axis] = limit
    both = numpy.stack([points, crossings], axis=1)  # each point, then where its edge leaves or enters
    kept: NDArray[Any] = both[numpy.stack([inside, crosses], axis=1)]
    return kept

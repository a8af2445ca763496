"""Pairs of pictures that may be nearly the same: by their coarsest shapes, or of very many by their hashes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy
from numpy.typing import NDArray

__all__ = ["Pairs", "by_hash", "by_shape", "normalized"]

Pairs = tuple[NDArray[Any], NDArray[Any]]
"""Two columns of rows, int64 (P,)."""

_BANDS, _BITS = 5, 12
"""Of a hash of 64 bits, and of each band."""
_BLOCK = 2_000_000
_ROWS = 2_048


def normalized(pictures: NDArray[Any]) -> NDArray[Any]:
    """Grey pictures as vectors of mean 0 and length 1, whose products are correlations.

    Args:
        pictures: (N, H, W).

    Returns:
        float32 (N, H * W).
    """
    values = pictures.reshape(len(pictures), -1).astype(numpy.float32)
    values -= values.mean(axis=1, keepdims=True)
    lengths: NDArray[Any] = numpy.linalg.norm(values, axis=1, keepdims=True)
    vectors: NDArray[Any] = values / numpy.maximum(lengths, 1e-6)
    return vectors


def by_shape(shapes: NDArray[Any], others: NDArray[Any], *, at_least: float) -> Iterator[Pairs]:
    """The pairs (i, j), i below j, whose vectors i and j correlate, in blocks.

    Args:
        shapes: float32 (N, D), as `normalized` of small pictures.
        others: float32 (N, D), of the same pictures, changed.
        at_least: The correlation.
    """
    for start in range(0, len(shapes), _ROWS):
        products = shapes[start : start + _ROWS] @ others[start:].T
        first, second = numpy.nonzero(products >= at_least)
        keep = first < second
        yield first[keep] + start, second[keep] + start


def by_hash(hashes: NDArray[Any], others: NDArray[Any], *, max_distance: int) -> Iterator[Pairs]:
    """The pairs (i, j), i below j, whose hashes agree in a band and differ in few bits, in blocks.

    Args:
        hashes: uint64 (N,).
        others: uint64 (N,), of the same pictures, changed.
        max_distance: In bits.
    """
    mask = numpy.uint64((1 << _BITS) - 1)
    for band in range(_BANDS):
        shift = numpy.uint64(band * _BITS)
        key, other_key = (hashes >> shift) & mask, (others >> shift) & mask
        order = numpy.argsort(other_key, kind="stable")
        starts = numpy.searchsorted(other_key[order], key, side="left")
        counts = numpy.searchsorted(other_key[order], key, side="right") - starts
        ends = numpy.cumsum(counts)
        begin = 0
        while begin < len(hashes):
            done = ends[begin] - counts[begin]
            end = max(begin + 1, int(numpy.searchsorted(ends, done + _BLOCK, side="right")))
            first = numpy.repeat(numpy.arange(begin, end), counts[begin:end])
            within = (
                numpy.arange(len(first)) + done - numpy.repeat(ends[begin:end] - counts[begin:end], counts[begin:end])
            )
            second = order[starts[first] + within]
            near = (first < second) & (numpy.bitwise_count(hashes[first] ^ others[second]) <= max_distance)
            yield first[near], second[near]
            begin = end

"""Pictures that are the same, or nearly: saved again, mirrored, or cropped a little; by their thumbnails alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.checking.twin_candidates import Pairs, by_hash, by_shape, normalized

__all__ = ["KINDS", "MAX_CROPPED", "Twins", "find_twins"]

KINDS = ("same", "near", "mirrored", "cropped")
"""The same pixels; saved again, or at another size; the mirror image; a part of more than four fifths."""

MAX_CROPPED = 100_000
"""Of so many pictures all pairs are compared; of more those whose hashes are alike, without cropped ones."""

_COARSE = 8
_MIN_COARSE = {"near": 0.96, "mirrored": 0.96, "cropped": 0.88}
_MIN_CORRELATION = {"same": 0.9999, "near": 0.98, "mirrored": 0.98, "cropped": 0.98}
_MAX_DISTANCE = {"near": 8, "mirrored": 10}
_MAX_BRIGHTNESS = 24.0
"""By which the means of two pictures may differ, of 255."""
_MIN_DEVIATION = 4.0
"""A picture of one colour is like any other of one colour."""
_CHUNK = 8_192
_FIRST_LOOK = (0.95,), (0.0, 0.5, 1.0)
_SECOND_LOOK = (0.98, 0.96, 0.94, 0.92, 0.9), (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the height and the width that a part has; and where it lies, from the left or above to the right or below."""
_MIN_FIRST = 0.93
"""The correlation at the first look from which a second one is worth its time."""


@dataclass(frozen=True)
class Twins:
    """Pairs of pictures.

    Attributes:
        first: int64 (P,), a row of the records.
        second: int64 (P,), a larger one.
        kind: int8 (P,), a position in `KINDS`.
    """

    first: NDArray[Any]
    second: NDArray[Any]
    kind: NDArray[Any]

    def __len__(self) -> int:
        return len(self.first)

    def select(self, rows: NDArray[Any]) -> Twins:
        """The pairs at these rows, bool (P,) or int64 (M,)."""
        return Twins(self.first[rows], self.second[rows], self.kind[rows])

    def of(self, *kinds: str) -> Twins:
        """The pairs of these kinds."""
        return self.select(numpy.isin(self.kind, [KINDS.index(kind) for kind in kinds]))


def find_twins(pixels: NDArray[Any]) -> Twins:
    """The pairs of pictures that are nearly the same, each once.

    Args:
        pixels: `visionkit.checking.pixel_record.PIXELS` (N,).
    """
    rows = numpy.flatnonzero(pixels["is_read"] & (pixels["deviation"] >= _MIN_DEVIATION))
    seen = pixels[rows]
    if not len(rows):
        return Twins(rows, rows, rows.astype(numpy.int8))
    parts = [_confirmed(kind, seen, pairs) for kind in _MIN_COARSE for pairs in _candidates(kind, seen)]
    first, second, kind = (
        numpy.concatenate([getattr(part, name) for part in parts]) if parts else numpy.zeros(0, numpy.int64)
        for name in ("first", "second", "kind")
    )
    order = numpy.lexsort((kind, second, first))
    first, second, kind = first[order], second[order], kind[order]
    is_new = numpy.ones(len(first), dtype=bool)
    is_new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return Twins(rows[first[is_new]], rows[second[is_new]], kind[is_new].astype(numpy.int8))


def _candidates(kind: str, seen: NDArray[Any]) -> Iterator[Pairs]:
    if len(seen) > MAX_CROPPED:
        if kind != "cropped":
            other = "mirrored" if kind == "mirrored" else "hash"
            yield from by_hash(seen["hash"], seen[other], max_distance=_MAX_DISTANCE[kind])
        return
    thumbnails = seen["thumbnail"]
    side = thumbnails.shape[1] // _COARSE
    coarse = thumbnails.reshape(-1, _COARSE, side, _COARSE, side).mean(axis=(2, 4), dtype=numpy.float32)
    others = coarse[:, :, ::-1] if kind == "mirrored" else coarse
    yield from by_shape(normalized(coarse), normalized(others), at_least=_MIN_COARSE[kind])


def _confirmed(kind: str, seen: NDArray[Any], pairs: Pairs) -> Twins:
    """Those of the pairs whose thumbnails are alike in detail."""
    first, second = pairs
    is_bright = numpy.abs(seen["mean"][first] - seen["mean"][second]) <= _MAX_BRIGHTNESS
    first, second = first[is_bright], second[is_bright]
    found = numpy.zeros(len(first), dtype=numpy.float32)
    for start in range(0, len(first), _CHUNK):
        one, other = (seen["thumbnail"][rows[start : start + _CHUNK]] for rows in (first, second))
        found[start : start + _CHUNK] = _LIKENESS[kind](one, other)
    keep = found >= _MIN_CORRELATION[kind]
    kinds = numpy.full(int(keep.sum()), KINDS.index(kind), dtype=numpy.int8)
    if kind == "near":
        kinds[found[keep] >= _MIN_CORRELATION["same"]] = KINDS.index("same")
    return Twins(first[keep], second[keep], kinds)


def _likeness(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    correlations: NDArray[Any] = numpy.einsum("ij,ij->i", normalized(_halved(one)), normalized(_halved(other)))
    return correlations


def _halved(pictures: NDArray[Any]) -> NDArray[Any]:
    """Means of 2x2 pixels: of small pictures, what is finer depends on how they were resized."""
    side = pictures.shape[1] // 2
    means: NDArray[Any] = pictures.reshape(-1, side, 2, side, 2).mean(axis=(2, 4), dtype=numpy.float32)
    return means


def _mirrored_likeness(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    return _likeness(one, other[:, :, ::-1])


def _part_likeness(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """The largest correlation of one with a part of the other, or of the other with a part of one."""
    best: NDArray[Any] = numpy.maximum(_best_part(one, other, *_FIRST_LOOK), _best_part(other, one, *_FIRST_LOOK))
    rows = numpy.flatnonzero(best >= _MIN_FIRST)
    for whole, part in ((one[rows], other[rows]), (other[rows], one[rows])):
        best[rows] = numpy.maximum(best[rows], _best_part(whole, part, *_SECOND_LOOK))
    return best


def _best_part(
    whole: NDArray[Any], part: NDArray[Any], shares: tuple[float, ...], places: tuple[float, ...]
) -> NDArray[Any]:
    best: NDArray[Any] = numpy.full(len(whole), -1.0, dtype=numpy.float32)
    target = normalized(_halved(part))
    for share in shares:
        for top in places:
            rows = _resampled(whole, share, top, axis=1)
            for left in places:
                inner = normalized(_halved(_resampled(rows, share, left, axis=2)))
                best = numpy.maximum(best, numpy.einsum("ij,ij->i", inner, target))
    return best


def _resampled(pictures: NDArray[Any], share: float, place: float, *, axis: int) -> NDArray[Any]:
    """A part of pictures along one axis, enlarged to the whole, linearly; float32."""
    side = pictures.shape[axis]
    at = (numpy.arange(side) + 0.5) * share + place * (1 - share) * side - 0.5
    low = numpy.floor(at).astype(numpy.int64).clip(0, side - 2)
    weight = (at - low).astype(numpy.float32).clip(0, 1)
    weight = weight.reshape([-1 if number == axis else 1 for number in range(3)])
    values = pictures.astype(numpy.float32, copy=False)
    part: NDArray[Any] = values.take(low, axis) * (1 - weight) + values.take(low + 1, axis) * weight
    return part


_LIKENESS = {"near": _likeness, "mirrored": _mirrored_likeness, "cropped": _part_likeness}

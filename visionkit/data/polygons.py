"""The segmentations of objects, polygons or run lengths, in flat arrays; without torch.

The arrays are compact and shared with workers. They are rasterized by pycocotools when an image is read, so that
masks are pixel for pixel those of COCO's own tools.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.outlines import MAX_LENGTH, MIN_VALUES, clip_ring, ring_length, split_rings

__all__ = ["Polygons", "run_lengths"]

_MERGED_AT_ONCE = 64
_MAX_BYTES = 1 << 23  # what a cache holds


@dataclass(frozen=True)
class Polygons:
    """The segmentations of n objects.

    Attributes:
        starts: int64 (n + 1,), the offset of each object's first value, then the number of values.
        values: float64 (V,). Of polygons x, y, x, y, ... in pixels, the rings of one object separated by a pair of NaN;
            of run lengths COCO's uncompressed RLE: in column-major order, background first (Lin et al. 2014).
        is_rle: bool (n,), which objects are run lengths.
    """

    starts: NDArray[Any]
    values: NDArray[Any]
    is_rle: NDArray[Any]

    @classmethod
    def from_list(cls, values: Sequence[Any], *, is_rle: bool | Sequence[bool]) -> Polygons:
        """Concatenate the values of single objects, each (v,)."""
        flat = [numpy.asarray(item, dtype=numpy.float64) for item in values]
        starts = numpy.cumsum([0, *map(len, flat)], dtype=numpy.int64)
        runs = numpy.broadcast_to(numpy.asarray(is_rle, dtype=bool), (len(flat),)).copy()
        return cls(starts, numpy.concatenate([numpy.zeros(0), *flat]), runs)

    @classmethod
    def join(cls, polygons: Sequence[Polygons]) -> Polygons:
        """Concatenate segmentations."""
        lengths = numpy.concatenate(
            [numpy.zeros(1, dtype=numpy.int64), *(numpy.diff(item.starts) for item in polygons)]
        )
        return cls(
            numpy.cumsum(lengths),
            numpy.concatenate([numpy.zeros(0), *(item.values for item in polygons)]),
            numpy.concatenate([numpy.zeros(0, dtype=bool), *(item.is_rle for item in polygons)]),
        )

    def __len__(self) -> int:
        return len(self.is_rle)

    def __getitem__(self, selection: Any) -> Polygons:
        """The objects selected by a slice of step 1, whose values are not copied, a mask (n,) or indices (m,)."""
        if isinstance(selection, slice):
            first, last, _ = selection.indices(len(self))
            starts = self.starts[first : max(first, last) + 1]
            return Polygons(starts - starts[0], self.values[starts[0] : starts[-1]], self.is_rle[first:last])
        rows = numpy.arange(len(self))[selection]
        if len(rows) == len(self) and (numpy.diff(rows) == 1).all():
            return self
        lengths = numpy.diff(self.starts)[rows]
        starts = numpy.concatenate([[0], numpy.cumsum(lengths)])
        source = numpy.arange(starts[-1]) + numpy.repeat(self.starts[rows] - starts[:-1], lengths)
        return Polygons(starts, self.values[source], self.is_rle[rows])

    @property
    def nbytes(self) -> int:
        """The size of the arrays in bytes."""
        return self.starts.nbytes + self.values.nbytes + self.is_rle.nbytes

    def scaled(self, factors: NDArray[Any]) -> Polygons:
        """Polygons with x and y multiplied by each object's factors, float64 (n, 2); for objects without RLE."""
        lengths = numpy.diff(self.starts)
        parity = (numpy.arange(len(self.values)) - numpy.repeat(self.starts[:-1], lengths)) % 2
        return Polygons(
            self.starts, self.values * numpy.repeat(factors, lengths, axis=0)[range(len(parity)), parity], self.is_rle
        )

    def rles(self, height: int, width: int) -> list[dict[str, Any]]:
        """Each object in COCO's compressed RLE, ``{"size": [h, w], "counts": bytes}``.

        Outlines are clipped to the image and its surroundings. An outline that is longer than
        `visionkit.data.outlines.MAX_LENGTH`, and run lengths of another size, have no pixels.

        Args:
            height: The height of the image, in pixels.
            width: Its width, in pixels.
        """
        margin = max(height, width)
        is_far = bool(numpy.fmax.reduce(numpy.abs(self.values), initial=0) > margin)
        return [
            _encode_runs(values, height, width) if is_rle else _encode_outline(values, height, width, clip=is_far)
            for values, is_rle in zip(self._parts(), self.is_rle.tolist(), strict=True)
        ]

    def bounds(self, sizes: NDArray[Any]) -> NDArray[Any]:
        """The smallest box around each object, float64 (n, 4), xyxy in pixels; NaN where there is none.

        Args:
            sizes: int64 (n, 2), height and width of each object's image; of outlines they are not used.
        """
        boxes = numpy.full((len(self), 4), numpy.nan)
        for row in numpy.flatnonzero(self.is_rle).tolist():
            boxes[row] = _run_bounds(self.values[self.starts[row] : self.starts[row + 1]], int(sizes[row, 0]))
        rows = numpy.flatnonzero(~self.is_rle & (numpy.diff(self.starts) > 0))
        outlines = self[rows] if len(rows) < len(self) else self
        if len(rows):
            for axis in (0, 1):
                coordinates, starts = outlines.values[axis::2], outlines.starts[:-1] // 2
                boxes[rows, axis] = numpy.fmin.reduceat(coordinates, starts)
                boxes[rows, axis + 2] = numpy.fmax.reduceat(coordinates, starts)
        return boxes

    def _parts(self) -> list[NDArray[Any]]:
        """The values of each object."""
        bounds = zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True)
        return [self.values[start:end] for start, end in bounds]

    def masks(self, height: int, width: int) -> NDArray[Any]:
        """The binary mask of each object, uint8 (n, H, W), 1 inside.

        Args:
            height: The height of the image, in pixels.
            width: Its width, in pixels.
        """
        chunks = list(self.mask_chunks(height, width))
        return (
            numpy.ascontiguousarray(numpy.concatenate(chunks))
            if chunks
            else numpy.zeros((0, height, width), dtype=numpy.uint8)
        )

    def mask_chunks(self, height: int, width: int) -> Iterator[NDArray[Any]]:
        """`masks` in parts of as many objects as fit in 8 MiB, at least one; in memory column by column."""
        from pycocotools import mask

        rles, count = self.rles(height, width), max(1, _MAX_BYTES // (height * width))
        for start in range(0, len(rles), count):
            yield mask.decode(rles[start : start + count]).transpose(2, 0, 1)


def _encode_outline(values: NDArray[Any], height: int, width: int, *, clip: bool) -> dict[str, Any]:
    from pycocotools import mask

    rings = [ring for ring in split_rings(values) if len(ring) >= MIN_VALUES]
    if clip:
        rings = [ring for ring in (clip_ring(ring, height, width) for ring in rings) if len(ring) >= MIN_VALUES]
    longest = sum(map(len, rings)) // 2 * (height + width + 2 * max(height, width))
    if not rings or (longest > MAX_LENGTH and sum(map(ring_length, rings)) > MAX_LENGTH):
        return _encode_runs(numpy.zeros(0), height, width)
    rles = mask.frPyObjects([ring.tolist() for ring in rings], height, width)
    while len(rles) > 1:  # in groups, for merging is linear in what was merged before
        rles = [mask.merge(rles[start : start + _MERGED_AT_ONCE]) for start in range(0, len(rles), _MERGED_AT_ONCE)]
    return dict(rles[0])


def _encode_runs(values: NDArray[Any], height: int, width: int) -> dict[str, Any]:
    from pycocotools import mask

    area = height * width
    fits = bool(((values >= 0) & (values <= area)).all()) and values.sum() == area
    counts = values.astype(numpy.int64).tolist() if fits else [area]
    encoded: dict[str, Any] = mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return encoded


def _run_bounds(runs: NDArray[Any], height: int) -> tuple[float, float, float, float]:
    """The smallest box around the pixels of uncompressed run lengths (r,), xyxy; NaN if there are none."""
    ends = numpy.cumsum(runs.astype(numpy.int64))
    first, last = ends[0 : len(ends) - 1 : 2], ends[1::2] - 1
    first, last = first[last >= first], last[last >= first]
    if not len(first) or height < 1:
        return (numpy.nan,) * 4
    left, right = int(first[0]) // height, int(last[-1]) // height + 1
    if (first // height != last // height).any():  # a run that continues in the next column touches both edges
        return left, 0, right, height
    return left, int((first % height).min()), right, int((last % height).max()) + 1


def run_lengths(mask: NDArray[Any]) -> NDArray[Any]:
    """Encode one object's mask, bool (H, W), as COCO's uncompressed run lengths, int64 (r,)."""
    flat = mask.ravel(order="F")
    boundaries = numpy.concatenate([[0], numpy.flatnonzero(flat[1:] != flat[:-1]) + 1, [len(flat)]])
    runs = numpy.diff(boundaries)
    return numpy.concatenate([[0], runs]) if flat[0] else runs

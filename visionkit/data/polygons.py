"""The segmentations of objects, polygons or run lengths, in flat arrays; without torch.

The arrays are compact and shared with workers. They are rasterized by pycocotools when an image is read, so that
masks are pixel for pixel those of COCO's own tools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

__all__ = ["Polygons", "run_lengths"]


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

        Args:
            height: The height of the image, in pixels.
            width: Its width, in pixels.
        """
        from pycocotools import mask

        rles: list[dict[str, Any]] = []
        for start, end, is_rle in zip(self.starts[:-1], self.starts[1:], self.is_rle, strict=True):
            values = self.values[start:end]
            if is_rle:
                runs = {"size": [height, width], "counts": values.astype(numpy.int64).tolist()}
                rles.append(mask.frPyObjects(runs, height, width))
            else:
                rings = numpy.split(values, numpy.flatnonzero(numpy.isnan(values))[::2])
                outlines = [ring[~numpy.isnan(ring)].tolist() for ring in rings]
                rles.append(mask.merge(mask.frPyObjects(outlines, height, width)))
        return rles

    def masks(self, height: int, width: int) -> NDArray[Any]:
        """The binary mask of each object, uint8 (n, H, W), 1 inside.

        Args:
            height: The height of the image, in pixels.
            width: Its width, in pixels.
        """
        from pycocotools import mask

        if not len(self):
            return numpy.zeros((0, height, width), dtype=numpy.uint8)
        return numpy.ascontiguousarray(mask.decode(self.rles(height, width)).transpose(2, 0, 1))


def run_lengths(mask: NDArray[Any]) -> NDArray[Any]:
    """Encode one object's mask, bool (H, W), as COCO's uncompressed run lengths, int64 (r,)."""
    flat = mask.ravel(order="F")
    boundaries = numpy.concatenate([[0], numpy.flatnonzero(flat[1:] != flat[:-1]) + 1, [len(flat)]])
    runs = numpy.diff(boundaries)
    return numpy.concatenate([[0], runs]) if flat[0] else runs

"""The shapes of objects as the files of data sets tell them: outlines or runs of pixels, without torch.

A million shapes are two arrays, which workers share. Pixels are made of them by pycocotools when an image is read, so
that everyone who reads COCO's files sees the same pixels.
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
    """The shape of each object.

    Attributes:
        starts: int64 (n + 1,), where the values of each object begin, and their number at the end.
        values: float64 (V,). Of an outline x, y, x, y, ... in pixels, its rings parted by a pair of NaN; of runs their
            lengths, column by column from the top left, the first one of the ground (Lin et al. 2014).
        is_runs: bool (n,), which objects are given by runs.
    """

    starts: NDArray[Any]
    values: NDArray[Any]
    is_runs: NDArray[Any]

    @classmethod
    def of(cls, values: Sequence[Any], *, is_runs: bool | Sequence[bool]) -> Polygons:
        """Lay the values of single objects, each (v,), one after another."""
        flat = [numpy.asarray(each, dtype=numpy.float64) for each in values]
        starts = numpy.cumsum([0, *map(len, flat)], dtype=numpy.int64)
        runs = numpy.broadcast_to(numpy.asarray(is_runs, dtype=bool), (len(flat),)).copy()
        return cls(starts, numpy.concatenate([numpy.zeros(0), *flat]), runs)

    @classmethod
    def join(cls, several: Sequence[Polygons]) -> Polygons:
        """The objects of all, one after another."""
        lengths = numpy.concatenate([numpy.zeros(1, dtype=numpy.int64), *(numpy.diff(each.starts) for each in several)])
        return cls(
            numpy.cumsum(lengths),
            numpy.concatenate([numpy.zeros(0), *(each.values for each in several)]),
            numpy.concatenate([numpy.zeros(0, dtype=bool), *(each.is_runs for each in several)]),
        )

    def __len__(self) -> int:
        return len(self.is_runs)

    def __getitem__(self, chosen: Any) -> Polygons:
        """The objects that a slice, a mask (n,) or positions (m,) choose; arrays or tensors."""
        rows = numpy.arange(len(self))[chosen if isinstance(chosen, slice) else numpy.asarray(chosen)]
        lengths = numpy.diff(self.starts)[rows]
        starts = numpy.concatenate([[0], numpy.cumsum(lengths)])
        places = numpy.arange(starts[-1]) + numpy.repeat(self.starts[rows] - starts[:-1], lengths)
        return Polygons(starts, self.values[places], self.is_runs[rows])

    @property
    def nbytes(self) -> int:
        """The size of the arrays in bytes."""
        return self.starts.nbytes + self.values.nbytes + self.is_runs.nbytes

    def enlarged(self, factors: NDArray[Any]) -> Polygons:
        """Outlines with x and y multiplied by each object's factors, float64 (n, 2)."""
        lengths = numpy.diff(self.starts)
        parity = (numpy.arange(len(self.values)) - numpy.repeat(self.starts[:-1], lengths)) % 2
        return Polygons(
            self.starts, self.values * numpy.repeat(factors, lengths, axis=0)[range(len(parity)), parity], self.is_runs
        )

    def rles(self, height: int, width: int) -> list[dict[str, Any]]:
        """Each object in COCO's compressed form ``{"size": [h, w], "counts": bytes}``.

        Args:
            height: Of the image that the objects lie in, in pixels.
            width: Of the same.
        """
        from pycocotools import mask

        made: list[dict[str, Any]] = []
        for start, end, is_runs in zip(self.starts[:-1], self.starts[1:], self.is_runs, strict=True):
            values = self.values[start:end]
            if is_runs:
                runs = {"size": [height, width], "counts": values.astype(numpy.int64).tolist()}
                made.append(mask.frPyObjects(runs, height, width))
            else:
                rings = numpy.split(values, numpy.flatnonzero(numpy.isnan(values))[::2])
                found = [ring[~numpy.isnan(ring)].tolist() for ring in rings]
                made.append(mask.merge(mask.frPyObjects(found, height, width)))
        return made

    def bits(self, height: int, width: int) -> NDArray[Any]:
        """The pixels of each object, uint8 (n, H, W), 1 inside.

        Args:
            height: Of the image that the objects lie in, in pixels.
            width: Of the same.
        """
        from pycocotools import mask

        if not len(self):
            return numpy.zeros((0, height, width), dtype=numpy.uint8)
        return numpy.ascontiguousarray(mask.decode(self.rles(height, width)).transpose(2, 0, 1))


def run_lengths(bits: NDArray[Any]) -> NDArray[Any]:
    """The run lengths (r,) of the pixels of one object, bool (H, W)."""
    flat = bits.ravel(order="F")
    bounds = numpy.concatenate([[0], numpy.flatnonzero(flat[1:] != flat[:-1]) + 1, [len(flat)]])
    runs = numpy.diff(bounds)
    return numpy.concatenate([[0], runs]) if flat[0] else runs

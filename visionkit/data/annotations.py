"""The objects marked in the images of a split, as a few flat arrays.

Millions of objects stay small in memory and are shared with workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from visionkit.data.polygons import Polygons
from visionkit.structures.rle import RunLengths

__all__ = ["Annotation", "Annotations"]


@dataclass(frozen=True)
class Annotation:
    """The objects of one image.

    Attributes:
        boxes: float32 (n, 4), xyxy in pixels of the image as it was decoded.
        labels: int64 (n,), class ids from 0.
        crowd: bool (n,), regions with many objects: neither trained on nor counted as hit or missed.
        area: float32 (n,), in square pixels; where the data set gives none, that of the box.
        shapes: Of n objects; None where boxes are all that is wanted.
    """

    boxes: Tensor
    labels: Tensor
    crowd: Tensor
    area: Tensor
    shapes: Polygons | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def masks(self, height: int, width: int) -> Tensor:
        """The pixels of each object, uint8 (n, H, W), 1 inside.

        Args:
            height: Of the image as it was decoded, in pixels.
            width: Of the same.

        Raises:
            TypeError: If only boxes are known.
        """
        return torch.from_numpy(self._shapes.bits(height, width))

    def runs(self, height: int, width: int) -> list[RunLengths]:
        """The same, run-length encoded: no image of a mask is made on the way."""
        return [{**runs, "counts": runs["counts"].decode("ascii")} for runs in self._shapes.rles(height, width)]

    @property
    def _shapes(self) -> Polygons:
        if self.shapes is None:
            raise TypeError("these objects have boxes, no shapes.")
        return self.shapes

    def select(self, keep: Tensor | slice) -> Annotation:
        """The objects that a mask, bool (n,), positions, int64 (m,), or a slice choose."""
        values = (getattr(self, field.name) for field in fields(self))
        return Annotation(*(None if value is None else value[keep] for value in values))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Annotations:
    """The objects of all images of a split.

    Attributes:
        starts: int64 (N + 1,), where the objects of each image begin, and their number at the end.
        objects: The objects of all images, one after another.
    """

    starts: Tensor
    objects: Annotation

    @classmethod
    def join(cls, images: Sequence[Annotation]) -> Annotations:
        """Lay the objects of single images one after another."""
        counts = torch.tensor([0, *(len(image) for image in images)], dtype=torch.int64)
        boxes, labels, crowd, area = (
            torch.cat([getattr(image, name) for image in images]) for name in ("boxes", "labels", "crowd", "area")
        )
        shapes = [image.shapes for image in images if image.shapes is not None]
        joined = Polygons.join(shapes) if len(shapes) == len(images) else None
        return cls(counts.cumsum(0), Annotation(boxes, labels, crowd, area, joined))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Annotation:
        return self.objects.select(slice(int(self.starts[index]), int(self.starts[index + 1])))

    @property
    def nbytes(self) -> int:
        """The size of the arrays in bytes."""
        arrays = (getattr(self.objects, field.name) for field in fields(self.objects))
        return self.starts.nbytes + sum(int(array.nbytes) for array in arrays if array is not None)

    def select(self, positions: Tensor) -> Annotations:
        """The images at these positions, int64 (M,), in this order."""
        counts = self.starts.diff()[positions]
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        within = torch.arange(int(starts[-1])) - starts[:-1].repeat_interleave(counts)
        return Annotations(starts, self.objects.select(self.starts[positions].repeat_interleave(counts) + within))

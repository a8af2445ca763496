"""The annotated objects of all images of a split, in flat arrays that workers share; without torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import ArrayLike, NDArray

from visionkit.data.polygons import Polygons

if TYPE_CHECKING:
    from visionkit.structures.rle import RunLengths

__all__ = ["Annotations", "Objects"]


@dataclass(frozen=True)
class Objects:
    """Annotated objects, one row each.

    Attributes:
        boxes: float32 (n, 4), xyxy in pixels of the decoded image.
        labels: int64 (n,), class ids from 0.
        crowd: bool (n,), regions of many objects, COCO's ``iscrowd``: ignored in training and evaluation.
        area: float32 (n,), in square pixels; that of the box if the data set has none.
        segmentations: The outline or run lengths of each object; None where only boxes are needed.
    """

    boxes: NDArray[Any]
    labels: NDArray[Any]
    crowd: NDArray[Any]
    area: NDArray[Any]
    segmentations: Polygons | None = None

    @classmethod
    def from_columns(
        cls,
        boxes: ArrayLike,
        labels: ArrayLike,
        *,
        crowd: ArrayLike | None = None,
        area: ArrayLike | None = None,
        segmentations: Polygons | None = None,
    ) -> Objects:
        """Build objects from lists, or from arrays of other types.

        Args:
            boxes: (n, 4), xyxy in pixels; areas of boxes are computed before they are rounded to float32.
            labels: (n,), class ids from 0.
            crowd: (n,); None if no object is one.
            area: (n,), in square pixels, NaN for that of the box; None for those of all boxes.
            segmentations: The outline or run lengths of each object.
        """
        corners = numpy.asarray(boxes, dtype=numpy.float64).reshape(-1, 4)
        box_areas = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
        areas = box_areas if area is None else numpy.where(numpy.isnan(area), box_areas, area)
        return cls(
            corners.astype(numpy.float32),
            numpy.asarray(labels, dtype=numpy.int64),
            numpy.zeros(len(corners), dtype=bool) if crowd is None else numpy.asarray(crowd, dtype=bool),
            areas.astype(numpy.float32),
            segmentations,
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def nbytes(self) -> int:
        """The size of the arrays in bytes."""
        columns = (getattr(self, field.name) for field in fields(self))
        return sum(column.nbytes for column in columns if column is not None)

    def select(self, rows: NDArray[Any] | slice) -> Objects:
        """The objects selected by a mask, bool (n,), by indices, int64 (m,), or by a slice."""
        columns = (getattr(self, field.name) for field in fields(self))
        return Objects(*(None if column is None else column[rows] for column in columns))  # type: ignore[arg-type]

    def masks(self, height: int, width: int) -> NDArray[Any]:
        """The binary mask of each object, uint8 (n, H, W), 1 inside.

        Args:
            height: The height of the decoded image, in pixels.
            width: Its width, in pixels.

        Raises:
            TypeError: If there are no segmentations.
        """
        return self._require_segmentations().masks(height, width)

    def mask_chunks(self, height: int, width: int) -> Iterator[NDArray[Any]]:
        """`masks` in parts of bounded memory, each uint8 (m, H, W).

        Raises:
            TypeError: If there are no segmentations.
        """
        return self._require_segmentations().mask_chunks(height, width)

    def rles(self, height: int, width: int) -> list[RunLengths]:
        """The mask of each object in COCO's compressed run-length encoding, without rasterizing it.

        Raises:
            TypeError: If there are no segmentations.
        """
        return [
            {**runs, "counts": runs["counts"].decode("ascii")}
            for runs in self._require_segmentations().rles(height, width)
        ]

    def _require_segmentations(self) -> Polygons:
        if self.segmentations is None:
            raise TypeError("these objects have boxes, no shapes.")
        return self.segmentations


@dataclass(frozen=True)
class Annotations:
    """The objects of all images of a split.

    Attributes:
        starts: int64 (N + 1,), the offset of each image's first object, then the number of objects.
        objects: The objects of all images, in the order of the images.
    """

    starts: NDArray[Any]
    objects: Objects

    @classmethod
    def from_sorted(cls, objects: Objects, image: ArrayLike, *, num_images: int) -> Annotations:
        """Assign objects to images by ``image``, (n,), the ascending index of each object's image."""
        return cls(numpy.searchsorted(image, numpy.arange(num_images + 1)), objects)

    @classmethod
    def join(cls, images: Sequence[Objects]) -> Annotations:
        """Concatenate the objects of single images."""
        boxes, labels, crowd, area = (
            numpy.concatenate([getattr(image, name) for image in images])
            for name in ("boxes", "labels", "crowd", "area")
        )
        segmentations = [image.segmentations for image in images if image.segmentations is not None]
        joined = Polygons.join(segmentations) if len(segmentations) == len(images) else None
        return cls(numpy.cumsum([0, *map(len, images)]), Objects(boxes, labels, crowd, area, joined))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Objects:
        return self.objects.select(slice(self.starts[index], self.starts[index + 1]))

    @property
    def counts(self) -> NDArray[Any]:
        """The number of objects of each image, int64 (N,)."""
        return numpy.diff(self.starts)

    @property
    def nbytes(self) -> int:
        """The size of the arrays in bytes."""
        return self.starts.nbytes + self.objects.nbytes

    def first(self, limit: int | NDArray[Any]) -> Annotations:
        """At most the first ``limit`` objects of each image, a number or int64 (N,)."""
        counts = numpy.minimum(self.counts, limit)
        starts = numpy.concatenate([[0], numpy.cumsum(counts)])
        rows = numpy.arange(starts[-1]) + numpy.repeat(self.starts[:-1] - starts[:-1], counts)
        return Annotations(starts, self.objects.select(rows))

    def select(self, positions: NDArray[Any]) -> Annotations:
        """The objects of the images at these positions, int64 (M,), in this order."""
        counts = self.counts[positions]
        starts = numpy.concatenate([[0], numpy.cumsum(counts)])
        rows = numpy.arange(starts[-1]) + numpy.repeat(self.starts[positions] - starts[:-1], counts)
        return Annotations(starts, self.objects.select(rows))

"""The annotated objects of all images of a split, in flat arrays: compact, and shared with forked workers."""

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
    """The annotated objects of one image.

    Attributes:
        boxes: float32 (n, 4), xyxy in pixels of the decoded image.
        labels: int64 (n,), class ids from 0.
        crowd: bool (n,), regions of many objects, COCO's ``iscrowd``: ignored in training and evaluation.
        area: float32 (n,), in square pixels; that of the box if the data set has none.
        segmentations: The outline or run lengths of each object; None where only boxes are needed.
    """

    boxes: Tensor
    labels: Tensor
    crowd: Tensor
    area: Tensor
    segmentations: Polygons | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def masks(self, height: int, width: int) -> Tensor:
        """The binary mask of each object, uint8 (n, H, W), 1 inside.

        Args:
            height: The height of the decoded image, in pixels.
            width: Its width, in pixels.

        Raises:
            TypeError: If there are no segmentations.
        """
        return torch.from_numpy(self._require_segmentations().masks(height, width))

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

    def select(self, keep: Tensor | slice) -> Annotation:
        """The objects selected by a mask, bool (n,), by indices, int64 (m,), or by a slice."""
        values = (getattr(self, field.name) for field in fields(self))
        return Annotation(*(None if value is None else value[keep] for value in values))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Annotations:
    """The objects of all images of a split.

    Attributes:
        starts: int64 (N + 1,), the offset of each image's first object, then the number of objects.
        objects: The objects of all images, concatenated.
    """

    starts: Tensor
    objects: Annotation

    @classmethod
    def join(cls, images: Sequence[Annotation]) -> Annotations:
        """Concatenate the objects of single images."""
        counts = torch.tensor([0, *(len(image) for image in images)], dtype=torch.int64)
        boxes, labels, crowd, area = (
            torch.cat([getattr(image, name) for image in images]) for name in ("boxes", "labels", "crowd", "area")
        )
        segmentations = [image.segmentations for image in images if image.segmentations is not None]
        joined = Polygons.join(segmentations) if len(segmentations) == len(images) else None
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
        """The objects of the images at these positions, int64 (M,), in this order."""
        counts = self.starts.diff()[positions]
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        within = torch.arange(int(starts[-1])) - starts[:-1].repeat_interleave(counts)
        return Annotations(starts, self.objects.select(self.starts[positions].repeat_interleave(counts) + within))

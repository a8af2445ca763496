"""Images with marked objects as a data set's files tell of them: read without torch, odd entries found and named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy
from numpy.typing import NDArray

from visionkit.data.findings import MAX_LISTED, Finding
from visionkit.data.images import walk_images
from visionkit.data.polygons import Polygons

__all__ = [
    "ParsedDataset",
    "AnnotatedImages",
    "Objects",
    "clean_boxes",
    "list_images",
]

_CLIP_TOLERANCE = 1.0  # pixels: annotation tools round, and some count pixels from 1


@dataclass(frozen=True)
class Objects:
    """Marked objects, one row each.

    Attributes:
        image: int64 (n,), the number of the image that each lies in.
        boxes: float64 (n, 4), xyxy, in pixels or as shares of the image's sides.
        labels: int64 (n,), class ids from 0.
        crowd: bool (n,), regions with many objects.
        area: float64 (n,), in square pixels; NaN where it is that of the box.
        segmentations: The outline or run lengths of each object; None where only boxes are needed.
    """

    image: NDArray[Any]
    boxes: NDArray[Any]
    labels: NDArray[Any]
    crowd: NDArray[Any]
    area: NDArray[Any]
    segmentations: Polygons | None = None

    @classmethod
    def from_lists(
        cls,
        image: Sequence[int],
        boxes: Sequence[Sequence[float]],
        labels: Sequence[int],
        *,
        segmentations: Polygons | None = None,
    ) -> Objects:
        """Single objects, whose area is that of the box."""
        num_objects = len(labels)
        return cls(
            numpy.array(image, dtype=numpy.int64),
            numpy.array(boxes, dtype=numpy.float64).reshape(-1, 4),
            numpy.array(labels, dtype=numpy.int64),
            numpy.zeros(num_objects, dtype=bool),
            numpy.full(num_objects, numpy.nan),
            segmentations,
        )

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: NDArray[Any]) -> Objects:
        """The objects that a mask or positions choose."""
        values = (getattr(self, field.name) for field in fields(self))
        return Objects(*(None if value is None else value[indices] for value in values))  # type: ignore[arg-type]


@dataclass(frozen=True)
class AnnotatedImages:
    """The images of a split, or of a whole set.

    Attributes:
        names: Relative to the root, with ``/`` between the parts.
        sizes: int64 (N, 2), height and width, 0 where the files don't say.
        objects: Those of all images, in the order of the images.
        relative: Whether boxes are shares of the image's sides, not pixels.
    """

    names: Sequence[str]
    sizes: NDArray[Any]
    objects: Objects
    relative: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def select(self, positions: NDArray[Any]) -> AnnotatedImages:
        """The images at these positions, int64 (M,), in this order, with their objects."""
        new_index = numpy.full(len(self), -1, dtype=numpy.int64)
        new_index[positions] = numpy.arange(len(positions))
        image = new_index[self.objects.image]
        order = numpy.argsort(image, kind="stable")[int((image < 0).sum()) :]
        objects = replace(self.objects.select(order), image=image[order])
        return AnnotatedImages([self.names[i] for i in positions], self.sizes[positions], objects, self.relative)


class ImageList(Protocol):
    """Images of a split that can be divided further."""

    @property
    def names(self) -> Sequence[str]: ...
    def __len__(self) -> int: ...
    def select(self, positions: NDArray[Any]) -> Any: ...


ImagesT = TypeVar("ImagesT", bound=ImageList)


@dataclass(frozen=True)
class ParsedDataset(Generic[ImagesT]):
    """What reading a data set's files gave.

    Attributes:
        root: The folder that image names are relative to.
        splits: ``train`` and what else there is; only ``train`` where the set came undivided.
        class_names: In the order of the class ids.
        findings: What is odd.
        category_ids: The files' own number of each class, where they have any.
        notes: What a person should know that is not odd.
    """

    root: Path
    splits: Mapping[str, ImagesT]
    class_names: tuple[str, ...]
    findings: Sequence[Finding]
    category_ids: tuple[int, ...] | None = None
    notes: Sequence[str] = ()


def clean_boxes(
    objects: Objects, sizes: NDArray[Any], locate: Callable[[int], str], *, relative: bool = False
) -> tuple[Objects, list[Finding]]:
    """Clip boxes to their images and drop those that are none.

    Args:
        objects: As they were read.
        sizes: int64 (N, 2), height and width of each image, 0 where unknown: nothing is clipped on the right and
            below there.
        place: Where an object, by its row, stands in the files.
        relative: Whether boxes are shares of the image's sides.

    Returns:
        The good objects, and what was odd about the others.
    """
    boxes = objects.boxes
    finite = numpy.isfinite(boxes).all(axis=1)
    boxes = numpy.where(finite[:, None], boxes, 0)
    sides = boxes[:, 2:] - boxes[:, :2]
    is_empty = finite & (sides <= 0).any(axis=1)
    if relative:
        limits, tolerance = numpy.ones((len(boxes), 2)), 0.01
    else:
        image_sizes = sizes[objects.image][:, ::-1].astype(numpy.float64)
        limits, tolerance = numpy.where(image_sizes > 0, image_sizes, numpy.inf), _CLIP_TOLERANCE
    clipped = numpy.clip(boxes, 0, numpy.concatenate([limits, limits], axis=1))
    valid = finite & ~is_empty
    is_outside = valid & (clipped[:, 2:] <= clipped[:, :2]).any(axis=1)
    valid &= ~is_outside
    is_clipped = valid & (numpy.abs(clipped - boxes) > tolerance).any(axis=1)
    findings = [
        *_row_findings("box(es) whose coordinates are no numbers", ~finite, locate),
        *_row_findings("box(es) of no width or height", is_empty, locate),
        *_row_findings("box(es) outside the image", is_outside, locate),
        *_row_findings("box(es) that reach out of the image", is_clipped, locate, remedy="clipped"),
    ]
    return replace(objects, boxes=clipped).select(numpy.flatnonzero(valid)), findings


def list_images(root: Path, folder: str) -> dict[str, str]:
    """The images below a folder: its path in the folder, to its path from the root; both with ``/``."""
    prefix = f"{folder}/" if folder else ""
    path = root / folder
    return {name: prefix + name for name in sorted(walk_images(path))} if path.is_dir() else {}


def _row_findings(
    problem: str, mask: NDArray[Any], locate: Callable[[int], str], *, remedy: str = "dropped"
) -> list[Finding]:
    rows = numpy.flatnonzero(mask)
    if not len(rows):
        return []
    return [Finding(problem, remedy, len(rows), tuple(locate(int(row)) for row in rows[:MAX_LISTED]))]

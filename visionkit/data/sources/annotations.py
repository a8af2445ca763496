"""Annotated images as parsed from a data set's files, with invalid entries reported as findings; without torch."""

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

_CLIP_TOLERANCE = 1.0  # pixels clipped without a finding: annotation tools round, and some count pixels from 1


@dataclass(frozen=True)
class Objects:
    """Annotated objects, one row each.

    Attributes:
        image: int64 (n,), the index of each object's image.
        boxes: float64 (n, 4), xyxy, in pixels or as fractions of the image's sides.
        labels: int64 (n,), class ids from 0.
        crowd: bool (n,), regions of many objects.
        area: float64 (n,), in square pixels; NaN stands for the area of the box.
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
        """Build objects that are no crowds and whose area is that of the box."""
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
        """The objects selected by a mask, bool (n,), or by indices, int64 (m,)."""
        values = (getattr(self, field.name) for field in fields(self))
        return Objects(*(None if value is None else value[indices] for value in values))  # type: ignore[arg-type]


@dataclass(frozen=True)
class AnnotatedImages:
    """The images of a split or of a data set without splits, with their objects.

    Attributes:
        names: Paths of the images relative to the root, separated by ``/``.
        sizes: int64 (N, 2), height and width in pixels, 0 where unknown.
        objects: The objects of all images, in the order of the images.
        relative: Whether boxes are fractions of the image's sides, not pixels.
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
    """Images of a split, of which subsets can be selected."""

    @property
    def names(self) -> Sequence[str]: ...
    def __len__(self) -> int: ...
    def select(self, positions: NDArray[Any]) -> Any: ...


ImagesT = TypeVar("ImagesT", bound=ImageList)


@dataclass(frozen=True)
class ParsedDataset(Generic[ImagesT]):
    """The contents of a data set's files.

    Attributes:
        root: The folder that image names are relative to.
        splits: ``train``, and ``val`` and ``test`` if the files define them.
        class_names: One per class, in the order of the class ids.
        findings: Problems that were found and handled.
        category_ids: The id of each class in the data set's files; None if they have none.
        notes: Messages for the user that are no problems.
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
    """Clip boxes to their images and drop invalid ones.

    Args:
        objects: The objects as parsed.
        sizes: int64 (N, 2), height and width of each image; where 0, unknown, boxes are not clipped on the right and
            below.
        locate: Maps an object's row to its location in the files, for findings.
        relative: Whether boxes are fractions of the image's sides.

    Returns:
        The valid objects, and findings on the others.
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
    """Map the path of each image below a folder to its path from the root; both separated by ``/``."""
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

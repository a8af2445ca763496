"""Annotated images as parsed from a data set's files, with invalid entries reported as findings; without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy
from numpy.typing import NDArray

from visionkit.data.annotations import Annotations
from visionkit.data.findings import MAX_LISTED, Finding

__all__ = [
    "CLIP_TOLERANCE",
    "RELATIVE_CLIP_TOLERANCE",
    "AnnotatedImages",
    "ParsedDataset",
    "clean_boxes",
    "row_findings",
]

CLIP_TOLERANCE = 1.0
"""Pixels clipped without a finding: annotation tools round, and some count pixels from 1."""
RELATIVE_CLIP_TOLERANCE = 0.01
"""The same where coordinates are fractions of the image's sides."""
_MAX_SIDE = 1 << 24


@dataclass(frozen=True)
class AnnotatedImages:
    """The images of a split or of a data set without splits, with their objects.

    Attributes:
        names: Paths of the images relative to the root, separated by ``/``.
        sizes: int64 (N, 2), height and width in pixels, 0 where unknown.
        annotations: The objects of each image.
        relative: Whether boxes and outlines are fractions of the image's sides, float64, not pixels.
        ids: The id of each image in the data set's files; None if they have none.
    """

    names: Sequence[str]
    sizes: NDArray[Any]
    annotations: Annotations
    relative: bool = False
    ids: Sequence[int | str] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def select(self, positions: NDArray[Any]) -> AnnotatedImages:
        """The images at these positions, int64 (M,), in this order, with their objects."""
        names, annotations = [self.names[i] for i in positions], self.annotations.select(positions)
        ids = None if self.ids is None else [self.ids[i] for i in positions]
        return AnnotatedImages(names, self.sizes[positions], annotations, self.relative, ids)


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
        names_splits: Whether the files, their names or the configuration say which images are those of train.
    """

    root: Path
    splits: Mapping[str, ImagesT]
    class_names: tuple[str, ...]
    findings: Sequence[Finding]
    category_ids: tuple[int | str, ...] | None = None
    notes: Sequence[str] = ()
    names_splits: bool = False


def clean_boxes(
    boxes: NDArray[Any], sizes: NDArray[Any] | None, locate: Callable[[int], str]
) -> tuple[NDArray[Any], NDArray[Any], list[Finding]]:
    """Clip boxes to their images and drop invalid ones.

    Args:
        boxes: float64 (n, 4), xyxy in pixels.
        sizes: int64 (n, 2), height and width of each box's image; where 0, unknown, boxes are not clipped on the right
            and below. None for boxes that are fractions of the image's sides.
        locate: Maps a box's row to its location in the files, for findings.

    Returns:
        The valid boxes, float64 (m, 4), their rows, int64 (m,), and findings on the others.
    """
    finite = numpy.isfinite(boxes).all(axis=1)
    boxes = numpy.where(finite[:, None], boxes, 0)
    is_empty = finite & (boxes[:, 2:] <= boxes[:, :2]).any(axis=1)
    if sizes is None:
        limits, tolerance = numpy.ones((len(boxes), 2)), RELATIVE_CLIP_TOLERANCE
    else:
        limits, tolerance = numpy.where(sizes > 0, sizes, _MAX_SIDE)[:, ::-1], CLIP_TOLERANCE
    clipped = numpy.clip(boxes, 0, numpy.concatenate([limits, limits], axis=1))
    valid = finite & ~is_empty
    is_outside = valid & (clipped[:, 2:] <= clipped[:, :2]).any(axis=1)
    valid &= ~is_outside
    is_clipped = valid & (numpy.abs(clipped - boxes) > tolerance).any(axis=1)
    findings = [
        *row_findings("box-no-number", ~finite, locate),
        *row_findings("box-empty", is_empty, locate),
        *row_findings("box-outside", is_outside, locate),
        *row_findings("box-clipped", is_clipped, locate),
    ]
    rows = numpy.flatnonzero(valid)
    return clipped[rows], rows, findings


def row_findings(code: str, mask: NDArray[Any], locate: Callable[[int], str]) -> list[Finding]:
    """A finding at the rows where a mask, bool (n,), is set, as a list of one; empty if there are none."""
    rows = numpy.flatnonzero(mask)
    return [Finding(code, len(rows), tuple(locate(int(row)) for row in rows[:MAX_LISTED]))] if len(rows) else []

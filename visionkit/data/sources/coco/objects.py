"""The entries of COCO's list ``annotations``, as objects of the images that a file lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.annotations import Annotations, Objects
from visionkit.data.findings import Finding
from visionkit.data.polygons import Polygons
from visionkit.data.sources.annotations import clean_boxes, row_findings
from visionkit.data.sources.box_doubts import doubt_corners
from visionkit.data.sources.coco.entries import ImageEntries
from visionkit.data.sources.coco.ids import FileId, find_ids
from visionkit.data.sources.coco.numbers import read_rows, read_scalars
from visionkit.data.sources.coco.segmentations import Segmentations, read_segmentations
from visionkit.data.sources.outlines import clean_outlines
from visionkit.errors import UserError
from visionkit.schema import describe

__all__ = ["has_boxes", "read_objects", "short_name"]

_MAX_AREA = 1e12
_TRUE = (1, "1", "true", "True")


def has_boxes(entries: Iterable[Any]) -> bool:
    """Whether all annotations have a ``bbox``, so that outlines are not needed to make one."""
    return all(entry.get("bbox") for entry in entries if type(entry) is dict)


def read_objects(
    entries: Sequence[Any], images: ImageEntries, category_ids: Sequence[FileId], file: Path, *, with_masks: bool
) -> tuple[Annotations, NDArray[Any], list[Finding]]:
    """Read the annotations of a file.

    Each entry is judged by itself: an odd one is dropped with a finding, and nothing becomes of the others.

    Args:
        entries: The JSON values of ``annotations``.
        images: The images that the file lists.
        category_ids: The id of each category; the index is the class id.
        file: The file, for messages.
        with_masks: Whether to read segmentations; objects without one are then dropped with a finding.

    Returns:
        The objects of each image; the sizes of the images, int64 (N, 2), with those that run lengths state where the
        list has none; and findings.

    Raises:
        UserError: If an annotation has a category that the file does not define.
    """
    locate = _locator(entries, file)
    columns, valid = _read_columns(entries, images, category_ids, file)
    rows = numpy.flatnonzero(valid & (columns.image >= 0))
    rows = rows[numpy.argsort(columns.image[rows], kind="stable")]
    sizes, segmentations, findings = images.sizes, None, list[Finding]()
    if with_masks or not columns.has_box[rows].all():
        needed = rows if with_masks else rows[~columns.has_box[rows]]
        shapes = [columns.entries[row].get("segmentation") for row in needed.tolist()]
        read = read_segmentations(shapes, sizes[columns.image[needed]], max_pixels=images.max_pixels)
        outlined = needed[read.rows]
        sizes = _with_stated_sizes(sizes, columns.image[outlined], read.sizes)
        findings += _make_boxes(columns, outlined, read.polygons, sizes, locate)
        if with_masks:
            findings += _problem_findings(read, needed, locate)
            sizes_of_rows = sizes[columns.image[outlined]]
            keep, shape_findings = clean_outlines(read.polygons, sizes_of_rows, lambda row: locate(outlined[row]))
            rows, segmentations, findings = outlined[keep], read.polygons[keep], findings + shape_findings
        else:
            valid[rows[~columns.has_box[rows]]] = False
            rows = rows[columns.has_box[rows]]
    of_rows = sizes[columns.image[rows]]
    findings += doubt_corners(columns.boxes[rows], of_rows, place=short_name(file))
    boxes, keep, box_findings = clean_boxes(columns.boxes[rows], of_rows, lambda row: locate(rows[row]))
    rows = rows[keep]
    chosen = [columns.entries[row] for row in rows.tolist()]
    objects = Objects.from_columns(
        boxes,
        columns.label[rows],
        crowd=numpy.array([entry.get("iscrowd") in _TRUE for entry in chosen], dtype=bool),
        area=_areas(chosen),
        segmentations=None if segmentations is None else segmentations[keep],
    )
    findings = [
        *row_findings("annotation-invalid", ~valid, locate),
        *row_findings("annotation-orphan", valid & (columns.image < 0), locate),
        *findings,
        *box_findings,
    ]
    return Annotations.from_sorted(objects, columns.image[rows], num_images=len(sizes)), sizes, findings


@dataclass(frozen=True)
class _Columns:
    """The values of n annotations.

    Attributes:
        entries: The JSON mappings, empty for what is none.
        image: int64 (n,), the position of the image, -1 if it is not listed.
        label: int64 (n,), the class id.
        boxes: float64 (n, 4), xyxy in pixels, NaN where there is none yet.
        has_box: bool (n,), where there is one.
    """

    entries: Sequence[dict[str, Any]]
    image: NDArray[Any]
    label: NDArray[Any]
    boxes: NDArray[Any]
    has_box: NDArray[Any]


def _read_columns(
    entries: Sequence[Any], images: ImageEntries, category_ids: Sequence[FileId], file: Path
) -> tuple[_Columns, NDArray[Any]]:
    """The values of annotations, and which have an image, a category and no odd box, bool (n,)."""
    mappings = [entry if type(entry) is dict else {} for entry in entries]
    image, has_image = find_ids([entry.get("image_id") for entry in mappings], images.positions)
    class_of = {category_id: class_id for class_id, category_id in enumerate(category_ids)}
    label, has_category = find_ids([entry.get("category_id") for entry in mappings], class_of)
    values = [entry.get("bbox") for entry in mappings]
    given = numpy.array([value is not None and value != [] for value in values], dtype=bool)
    rows = numpy.flatnonzero(given)
    boxes, has_box = numpy.full((len(entries), 4), numpy.nan), numpy.zeros(len(entries), dtype=bool)
    xywh, has_box[rows] = read_rows(values if given.all() else [values[row] for row in rows], 4)
    with numpy.errstate(over="ignore", invalid="ignore"):
        boxes[rows] = numpy.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    valid = has_image & has_category & (has_box | ~given)
    unknown = valid & (label < 0)
    if unknown.any():
        row = int(numpy.argmax(unknown))
        raise UserError(
            f"dataset.root: '{file}': {_name(entries[row], row)} has category_id "
            f"{describe(mappings[row]['category_id'])}, which the categories do not define. "
            f"Expected one of {describe(list(category_ids))}."
        )
    return _Columns(mappings, image, label, boxes, has_box), valid


def _with_stated_sizes(sizes: NDArray[Any], image: NDArray[Any], stated: NDArray[Any]) -> NDArray[Any]:
    """Sizes (N, 2) of images, with those that the run lengths (m, 2) of their objects state where unknown."""
    rows = numpy.flatnonzero((sizes[image] == 0).all(axis=1) & (stated > 0).all(axis=1))
    if not len(rows):
        return sizes
    sizes = sizes.copy()
    sizes[image[rows[::-1]]] = stated[rows[::-1]]  # of several, the first stays
    return sizes


def _make_boxes(
    columns: _Columns, rows: NDArray[Any], polygons: Polygons, sizes: NDArray[Any], locate: Callable[[int], str]
) -> list[Finding]:
    """Give the boxes of their outlines, one per row, to annotations that have none."""
    missing = ~columns.has_box[rows]
    made = rows[missing]
    if not len(made):
        return []
    columns.boxes[made] = polygons[missing].bounds(sizes[columns.image[made]])
    columns.has_box[made] = True
    is_made = numpy.zeros(len(columns.entries), dtype=bool)
    is_made[made] = True
    return row_findings("box-from-outline", is_made, locate)


def _problem_findings(read: Segmentations, rows: NDArray[Any], locate: Callable[[int], str]) -> list[Finding]:
    places: dict[str, list[str]] = {}
    for row, problem in read.problems:
        places.setdefault(problem, []).append(locate(rows[row]))
    return [finding for problem, found in places.items() for finding in Finding.of(problem, found)]


def _areas(entries: Sequence[dict[str, Any]]) -> NDArray[Any]:
    areas = read_scalars([entry.get("area") for entry in entries])
    return numpy.where((areas > 0) & (areas < _MAX_AREA), areas, numpy.nan)


def _locator(entries: Sequence[Any], file: Path) -> Callable[[int], str]:
    return lambda row: f"{short_name(file)} {_name(entries[row], row)}"


def _name(entry: Any, row: int) -> str:
    number = entry.get("id") if type(entry) is dict else None
    return f"annotation {describe(number)}" if type(number) in (int, str) else f"annotation number {row + 1}"


def short_name(file: Path) -> str:
    """A file's name and folder, which distinguish the files of splits that some tools give the same name."""
    return f"{file.parent.name}/{file.name}"

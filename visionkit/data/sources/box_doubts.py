"""Boxes in another form than the data set's: fractions where pixels are expected, corners where sizes are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.findings import Finding
from visionkit.data.sources.annotations import (
    CLIP_TOLERANCE,
    RELATIVE_CLIP_TOLERANCE,
    AnnotatedImages,
    ParsedDataset,
)
from visionkit.errors import UserError

__all__ = ["doubt_corners", "doubt_fractions"]

_MIN_BOXES = 4
_MIN_OUTSIDE = 0.25  # of boxes spread over images, read as corners and sizes, half or more reach out
_MIN_CORNERS = 0.95


def doubt_corners(boxes: NDArray[Any], sizes: NDArray[Any] | None, *, place: str) -> list[Finding]:
    """A finding if boxes seem to be written as two corners, which were read as a point and a size.

    They do if a quarter of them reaches out of the image, and nearly all are boxes in the image if they are read as
    corners.

    Args:
        boxes: float64 (n, 4), xyxy as read, not clipped.
        sizes: int64 (n, 2), height and width of each box's image, 0 where unknown, for boxes written in pixels by their
            upper left corner; None for boxes written in fractions by their centre.
        place: The file or folder in which they are written.
    """
    limits, tolerance = numpy.ones((len(boxes), 2)), RELATIVE_CLIP_TOLERANCE
    judged = numpy.isfinite(boxes).all(axis=1)
    if sizes is not None:
        limits, tolerance = sizes[:, ::-1], CLIP_TOLERANCE
        judged = judged & (sizes > 0).all(axis=1)
    boxes, limits = boxes[judged], limits[judged]
    if len(boxes) < _MIN_BOXES:
        return []
    is_outside = ((boxes[:, 2:] > limits + tolerance) | (boxes[:, :2] < -tolerance)).any(axis=1)
    point = boxes[:, :2] if sizes is not None else (boxes[:, :2] + boxes[:, 2:]) / 2
    values = numpy.concatenate([point, boxes[:, 2:] - boxes[:, :2]], axis=1)
    are_corners = (values[:, 2:] > values[:, :2]) & (values[:, 2:] <= limits + tolerance) & (values[:, :2] >= 0)
    if is_outside.mean() < _MIN_OUTSIDE or are_corners.all(axis=1).mean() < _MIN_CORNERS:
        return []
    return [Finding.counted("box-corners", len(boxes), place=place, outside=f"{is_outside.sum():,}")]


def doubt_fractions(parsed: ParsedDataset[AnnotatedImages]) -> ParsedDataset[AnnotatedImages]:
    """The data set with findings on boxes that are fractions of the image's sides where pixels are expected.

    Raises:
        UserError: If all boxes or outlines of a split are.
    """
    findings: list[Finding] = []
    for split, images in parsed.splits.items():
        objects = images.annotations.objects
        if images.relative or not len(objects):
            continue
        is_fraction = (objects.boxes <= 1).all(axis=1)
        outlines = objects.segmentations
        values = outlines.values if outlines is not None and not outlines.is_rle.any() else objects.boxes
        in_fractions = bool(numpy.nanmax(values, initial=0) <= 1)
        if in_fractions or is_fraction.all():
            kind = "boxes" if is_fraction.all() else "outlines"
            raise UserError(
                f"dataset.root: the {kind} of all {len(objects):,} objects of {split} in '{parsed.root}' lie between 0 "
                f"and 1, as fractions of the image's sides; those of '{images.names[0]}' among them. Expected pixels. "
                "Multiply x by the width and y by the height of each image."
            )
        is_fraction &= (objects.boxes % 1 != 0).any(axis=1)
        image = numpy.repeat(numpy.arange(len(images)), images.annotations.counts)
        findings += Finding.of("box-fraction", [images.names[row] for row in image[is_fraction].tolist()])
    return replace(parsed, findings=[*parsed.findings, *findings]) if findings else parsed

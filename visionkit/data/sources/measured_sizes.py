"""The sizes of images that the data set's files do not say, from the headers of the images; without torch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy

from visionkit.data.annotations import Annotations
from visionkit.data.findings import Finding
from visionkit.data.image_header import read_size
from visionkit.data.sources.annotations import AnnotatedImages, clean_boxes
from visionkit.data.sources.box_doubts import doubt_corners
from visionkit.data.sources.outlines import clean_outlines
from visionkit.errors import UserError

__all__ = ["measure_sizes"]

_NUM_THREADS = 8


def measure_sizes(root: Path, images: AnnotatedImages) -> tuple[AnnotatedImages, list[Finding]]:
    """Images with the sizes of their files where unknown, and their objects clipped to them.

    Args:
        root: The folder that the names are relative to.
        images: The images, with coordinates in pixels; a size stays unknown where a file cannot be read.

    Returns:
        The images, and findings on objects that are dropped or clipped.
    """
    unknown = numpy.flatnonzero((images.sizes == 0).any(axis=1)).tolist()
    if not unknown:
        return images, []
    sizes = images.sizes.copy()
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        sizes[unknown] = list(pool.map(_size, (root / images.names[row] for row in unknown)))
    annotations, objects = images.annotations, images.annotations.objects
    image = numpy.repeat(numpy.arange(len(images)), annotations.counts)
    rows = numpy.flatnonzero(numpy.isin(image, unknown))

    def locate(row: int) -> str:
        return images.names[int(image[rows[row]])]

    read = objects.boxes[rows].astype(numpy.float64)
    doubts = doubt_corners(read, sizes[image[rows]], place=images.names[0])
    cleaned, kept, findings = clean_boxes(read, sizes[image[rows]], locate)
    rows = rows[kept]
    boxes, area = objects.boxes.copy(), objects.area.copy()
    old_areas = (boxes[rows, 2:] - boxes[rows, :2]).prod(axis=1)
    boxes[rows] = cleaned
    new_areas = (boxes[rows, 2:] - boxes[rows, :2]).prod(axis=1)
    area[rows] = numpy.where(numpy.isclose(area[rows], old_areas), new_areas, area[rows])
    if objects.segmentations is not None:
        kept, outline_findings = clean_outlines(objects.segmentations[rows], sizes[image[rows]], locate)
        rows, findings = rows[kept], findings + outline_findings
    valid = ~numpy.isin(image, unknown)
    valid[rows] = True
    measured = replace(objects, boxes=boxes, area=area).select(valid)
    return replace(
        images, sizes=sizes, annotations=Annotations.from_sorted(measured, image[valid], num_images=len(images))
    ), [*doubts, *findings]


def _size(path: Path) -> tuple[int, int]:
    try:
        return read_size(path)
    except UserError:
        return 0, 0

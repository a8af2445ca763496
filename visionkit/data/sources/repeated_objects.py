"""Objects that are annotated twice in one image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.annotations import Annotations, Objects
from visionkit.data.findings import Finding
from visionkit.data.sources.annotations import AnnotatedImages

__all__ = ["drop_repeated"]

_MULTIPLIER = numpy.uint64(0x9E3779B97F4A7C15)  # of Fibonacci hashing (Knuth, The Art of Computer Programming, 6.4)


def drop_repeated(images: AnnotatedImages) -> tuple[AnnotatedImages, list[Finding]]:
    """The images without repetitions of an object: the same class, box and outline in the same image.

    Args:
        images: The images, with coordinates in pixels.

    Returns:
        The images, and a finding on those with repetitions.
    """
    objects = images.annotations.objects
    image = numpy.repeat(numpy.arange(len(images)), images.annotations.counts)
    candidates = _rows_of_equal_hash(image, objects)
    if not len(candidates):
        return images, []
    chosen = objects.select(candidates)
    columns = [image[candidates], chosen.labels, chosen.crowd, chosen.boxes, _outline_sums(chosen)]
    _, first = numpy.unique(numpy.column_stack(columns), axis=0, return_index=True)
    extra = numpy.delete(candidates, first)
    if not len(extra):
        return images, []
    keep = numpy.delete(numpy.arange(len(image)), extra)
    kept = Annotations.from_sorted(objects.select(keep), image[keep], num_images=len(images))
    findings = Finding.of("annotation-repeated", [images.names[row] for row in image[extra].tolist()])
    return replace(images, annotations=kept), findings


def _rows_of_equal_hash(image: NDArray[Any], objects: Objects) -> NDArray[Any]:
    """The rows of objects, ascending, whose image, class and box have the hash of another's: sorting whole rows would
    take ten times as long."""
    boxes = numpy.ascontiguousarray(objects.boxes, dtype=numpy.float32).view(numpy.uint32)
    hashes = image.astype(numpy.uint64)
    for column in (objects.labels, objects.crowd, *boxes.T):
        hashes = (hashes ^ column.astype(numpy.uint64)) * _MULTIPLIER
        hashes ^= hashes >> numpy.uint64(29)
    order = numpy.argsort(hashes, kind="stable")
    is_equal = numpy.diff(hashes[order]) == 0
    if not is_equal.any():
        return order[:0]
    is_candidate = numpy.append(is_equal, False) | numpy.append(False, is_equal)
    return numpy.sort(order[is_candidate])


def _outline_sums(objects: Objects) -> NDArray[Any]:
    """The number and the sum of the values of each outline, float64 (n, 2); 0 without outlines."""
    sums = numpy.zeros((len(objects), 2))
    outlines = objects.segmentations
    if outlines is None:
        return sums
    sums[:, 0] = numpy.diff(outlines.starts)
    filled = numpy.flatnonzero(sums[:, 0])
    if len(filled):
        sums[filled, 1] = numpy.add.reduceat(numpy.nan_to_num(outlines.values, nan=-1), outlines.starts[:-1][filled])
    return sums

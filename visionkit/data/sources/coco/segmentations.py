"""The segmentations of objects in COCO's JSON files: polygons, run lengths and compressed run lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.findings import Finding
from visionkit.data.polygons import Polygons

__all__ = ["MIN_POINTS", "read_segmentations"]

MIN_POINTS = 3

_FEW_POINTS = "outline-few-points"
_NO_NUMBERS = "outline-no-number"
_WRONG_LENGTH = "rle-length"
_NOTHING = "outline-missing"


def read_segmentations(
    entries: Sequence[Any], sizes: NDArray[Any], locations: Sequence[str]
) -> tuple[Polygons, NDArray[Any], list[Finding]]:
    """Read the ``segmentation`` of objects.

    Args:
        entries: The JSON values: ``[[x, y, ...], ...]`` or ``{"size": [h, w], "counts": [...] or "..."}``.
        sizes: int64 (n, 2), height and width of each object's image, 0 where unknown.
        locations: The location of each object in the files, for findings.

    Returns:
        The valid segmentations, the indices of their objects, int64 (m,), and findings on the others. Of several
        polygons of an object, one must be valid.
    """
    values: list[NDArray[Any]] = []
    is_rle: list[bool] = []
    readable: list[int] = []
    problems: dict[str, list[str]] = {problem: [] for problem in (_FEW_POINTS, _NO_NUMBERS, _WRONG_LENGTH, _NOTHING)}
    for row, (entry, size) in enumerate(zip(entries, sizes.tolist(), strict=True)):
        shape, problem = _runs(entry, size) if isinstance(entry, dict) else _outline(entry)
        if problem:
            problems[problem].append(locations[row])
        if shape is not None:
            values.append(shape)
            is_rle.append(isinstance(entry, dict))
            readable.append(row)
    findings = [finding for problem, found_at in problems.items() for finding in Finding.of(problem, found_at)]
    return Polygons.from_list(values, is_rle=is_rle), numpy.array(readable, dtype=numpy.int64), findings


def _outline(entry: Any) -> tuple[NDArray[Any] | None, str]:
    """The valid polygons of an object, separated by pairs of NaN, or None, and a problem or an empty text."""
    if not entry:
        return None, _NOTHING
    rings: list[NDArray[Any]] = []
    problem = ""
    for ring in entry if isinstance(entry, list) else [entry]:
        try:
            points = numpy.array(ring, dtype=numpy.float64)
        except (TypeError, ValueError):
            problem = _NO_NUMBERS
            continue
        if points.ndim != 1 or len(points) % 2 or not numpy.isfinite(points).all():
            problem = _NO_NUMBERS
        elif len(points) < 2 * MIN_POINTS:
            problem = _FEW_POINTS
        else:
            rings += [numpy.full(2, numpy.nan), points]
    return (numpy.concatenate(rings[1:]), problem) if rings else (None, problem)


def _runs(entry: dict[str, Any], size: list[int]) -> tuple[NDArray[Any] | None, str]:
    """The run lengths of an object, whose sum is the image's area, or None, and a problem or an empty text."""
    counts = entry.get("counts")
    try:
        runs = numpy.array(_decompressed(counts) if isinstance(counts, str) else counts, dtype=numpy.int64)
        stated_size = [int(side) for side in entry["size"]]
    except (KeyError, TypeError, ValueError, OverflowError):
        return None, _NO_NUMBERS
    if runs.ndim != 1 or not len(runs) or (runs < 0).any() or len(stated_size) != 2:
        return None, _NO_NUMBERS
    if int(runs.sum()) != stated_size[0] * stated_size[1] or (all(size) and stated_size != size):
        return None, _WRONG_LENGTH
    return runs, ""


def _decompressed(text: str) -> list[int]:
    """Decompress COCO's run lengths: groups of 5 bits, least significant first, from the fourth run on differences.

    Raises:
        ValueError: If the text ends within a number or has an invalid character.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64:
            raise ValueError(f"no group of five bits: {character!r}")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("the text ends within a number")
    return runs

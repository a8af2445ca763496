"""Run lengths in COCO's JSON files, plain or compressed, from files that may hold anything."""

from __future__ import annotations

from typing import Any

import numpy
from numpy.typing import NDArray

__all__ = ["read_runs"]

_MAX_GROUPS = 11
"""The groups of five bits of the longest number: more would not fit in 64 bits."""


def read_runs(
    entry: dict[str, Any], size: tuple[int, int], *, max_pixels: int
) -> tuple[NDArray[Any] | None, tuple[int, int], str]:
    """The run lengths of an object, whose sum is the image's area.

    Args:
        entry: ``{"size": [h, w], "counts": [...] or "..."}``.
        size: Height and width of the image, 0 where unknown.
        max_pixels: The pixels of the largest image that is believed.

    Returns:
        int64 (r,), or None; the height and width that the entry states; and the code of a finding or an empty text.
    """
    counts = entry.get("counts")
    try:
        runs = _decompressed(counts) if isinstance(counts, str) else numpy.array(counts, dtype=numpy.float64)
        height, width = (int(side) for side in numpy.array(entry["size"], dtype=numpy.float64))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None, (0, 0), "outline-no-number"
    if runs.ndim != 1 or not len(runs) or not ((runs >= 0) & (runs < numpy.inf)).all() or (runs % 1).any():
        return None, (0, 0), "outline-no-number"
    area = height * width
    # runs are summed as floats, which do not wrap, and are exact up to 2^53
    if not 0 < area <= max_pixels or height < 0 or runs.sum() != area or (all(size) and size != (height, width)):
        return None, (0, 0), "rle-length"
    return runs.astype(numpy.int64), (height, width), ""


def _decompressed(text: str) -> NDArray[Any]:
    """Decompress COCO's run lengths: groups of 5 bits, least significant first, from the fourth run on differences.

    Returns:
        float64 (r,).

    Raises:
        ValueError: If the text ends within a number, has a number of too many bits or an invalid character.
    """
    groups = numpy.frombuffer(text.encode("latin-1"), dtype=numpy.uint8).astype(numpy.int64) - 48
    if not len(groups) or groups.min() < 0 or groups.max() > 63 or groups[-1] & 32:
        raise ValueError("no groups of five bits, or the last is followed by none")
    ends = numpy.flatnonzero(groups & 32 == 0)
    starts = numpy.concatenate([[0], ends[:-1] + 1])
    if (ends - starts).max() >= _MAX_GROUPS:
        raise ValueError("a number of more than 55 bits")
    shifts = 5 * (numpy.arange(len(groups)) - numpy.repeat(starts, ends - starts + 1))
    numbers = numpy.add.reduceat((groups & 31) << shifts, starts)
    numbers -= numpy.where(groups[ends] & 16 > 0, numpy.int64(1) << (shifts[ends] + 5), 0)
    runs = numbers.astype(numpy.float64)
    for first in (1, 2):
        runs[first::2] = numpy.cumsum(runs[first::2])
    return runs

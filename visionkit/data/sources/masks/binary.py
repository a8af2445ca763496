"""Masks of two classes, whose values may stray from two grey levels: smoothed edges, JPEG, single pixels.

A value that fills areas is no stray, however near to a level it lies: it is a class of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.mask_contents import ValueCounts

__all__ = ["are_levels", "area_values", "find_levels", "is_near", "nearest_level"]

_TOLERANCE = 16
_MIN_FRACTION = 0.98
_MIN_DISTANCE = 64
_MAX_STRAYS = 0.001
_MAX_ASYMMETRY = 50
_MIN_SOLID = 0.25
"""The fraction of a value's pixels that lie within areas of it; of an area of 3 x 3 pixels 0.44 do."""
_MIN_AREA = 4
_WHITE_ROUNDING = 2
_LOSSY_DISTANCE = 8
"""By so much JPEG may shift whole areas: half the step in which it stores the mean of a block, at low quality."""
_MIN_LOSSY_CLASS = 0.05
_MIN_NOISY_VALUES = 3
_BYTE = 256
_WORD_SCALE = 257  # 16-bit masks: 65535 = 257 * 255


def find_levels(masks: Sequence[ValueCounts], *, lossy: bool) -> tuple[int, int] | None:
    """The two levels of near-binary masks, the lower first; None if they are not near-binary.

    The levels are the most frequent value, and the most frequent one that is far from it.

    Args:
        masks: The values of each mask, ids, without ignored ones.
        lossy: Whether a file's form changes values, as JPEG does.
    """
    if not masks:
        return None
    total = ValueCounts.merge(masks)
    if not len(total.values):
        return None
    scale = _scale(int(total.values[-1]))
    first = int(total.values[total.pixels.argmax()])
    is_far = numpy.abs(total.values - first) >= _MIN_DISTANCE * scale
    if not is_far.any():
        return None
    second = int(total.values[is_far][total.pixels[is_far].argmax()])
    levels = (min(first, second), max(first, second))
    if not are_levels(masks, levels) or area_values(masks, levels, lossy=lossy):
        return None
    return None if not lossy and _holds_rare_ids(masks, levels) else levels


def are_levels(masks: Sequence[ValueCounts], levels: tuple[int, int]) -> bool:
    """Whether masks are near-binary with these levels, the lower first.

    At least 98 % of the pixels of each mask lie within 16 of a level. Ids that are counted from 0 do so too where 255
    is frequent: they lie above the lower level in number, while nothing lies below the upper one, as smoothing and
    JPEG would have it.

    Args:
        masks: The values of each mask, at least one, ids, without ignored ones.
        levels: Two values that are far apart.
    """
    if levels[1] - levels[0] < _MIN_DISTANCE * _scale(levels[1]) or _holds_ids(ValueCounts.merge(masks), levels):
        return False
    return all(is_near(mask, levels) for mask in masks)


def is_near(mask: ValueCounts, levels: tuple[int, int]) -> bool:
    """Whether at least 98 % of a mask's pixels lie within 16 of one of two levels."""
    distance = numpy.abs(mask.values[:, None] - numpy.array(levels)).min(axis=1)
    return bool(mask.pixels[distance <= _TOLERANCE * _scale(levels[1])].sum() >= _MIN_FRACTION * mask.pixels.sum())


def area_values(masks: Sequence[ValueCounts], levels: tuple[int, int], *, lossy: bool) -> list[int]:
    """The values beside two levels that fill areas, as classes do and smoothed edges and single pixels do not.

    Where values are changed by a lossy form, only those that lie further from a level than it would shift them.

    Args:
        masks: The values of each mask, at least one, ids, without ignored ones.
        levels: The levels, the lower first.
        lossy: Whether a file's form changes values; masks that were once saved so are recognised by the noise.
    """
    total = ValueCounts.merge(masks)
    scale = _scale(levels[1])
    distance = numpy.abs(total.values[:, None] - numpy.array(levels)).min(axis=1)
    has_area = (total.solid >= _MIN_SOLID * total.pixels) & (total.solid >= _MIN_AREA)
    if lossy or _is_noisy(total, levels):
        largest = numpy.zeros(len(total.values))
        for mask in masks:
            rows = numpy.searchsorted(total.values, mask.values)
            largest[rows] = numpy.maximum(largest[rows], mask.pixels / mask.pixels.sum())
        is_class = has_area & (distance > _LOSSY_DISTANCE * scale) & (largest >= _MIN_LOSSY_CLASS)
    else:
        is_rounded_white = numpy.abs(total.values - levels[1]) <= _WHITE_ROUNDING * scale
        is_class = has_area & (distance > 0) & ~is_rounded_white
    values: list[int] = total.values[is_class].tolist()
    return values


def nearest_level(levels: tuple[int, int]) -> dict[int, int]:
    """For each value that a mask may have, 0 where the lower level is nearer, 1 where the upper one is."""
    low, high = levels
    return {value: int(2 * value > low + high) for value in range(_BYTE * (_BYTE if high >= _BYTE else 1))}


def _scale(highest: int) -> int:
    return _WORD_SCALE if highest >= _BYTE else 1


def _is_beside(total: ValueCounts, level: int, levels: tuple[int, int]) -> NDArray[Any]:
    near: NDArray[Any] = numpy.abs(total.values - level) <= _TOLERANCE * _scale(levels[1])
    near &= total.values != level
    return near


def _holds_ids(total: ValueCounts, levels: tuple[int, int]) -> bool:
    """Whether the values beside the lower level are ids: many pixels have them, and none are beside the upper one."""
    beside_low, beside_high = (int(total.pixels[_is_beside(total, level, levels)].sum()) for level in levels)
    return bool(beside_low >= _MAX_STRAYS * total.pixels.sum() and beside_high * _MAX_ASYMMETRY < beside_low)


def _holds_rare_ids(masks: Sequence[ValueCounts], levels: tuple[int, int]) -> bool:
    """Whether the values beside 0 are ids of rare objects: counted from 1, in several masks, none beside the other."""
    total = ValueCounts.merge(masks)
    beside_low, beside_high = (total.values[_is_beside(total, level, levels)] for level in levels)
    is_counted = levels[0] == 0 and beside_low.tolist() == list(range(1, len(beside_low) + 1))
    if not len(beside_low) or len(beside_high) or not is_counted:
        return False
    return sum(bool(numpy.isin(beside_low, mask.values).any()) for mask in masks) > 1


def _is_noisy(total: ValueCounts, levels: tuple[int, int]) -> bool:
    """Whether several values lie beside both levels, as in masks that were saved as JPEG and then as PNG."""
    return all(_is_beside(total, level, levels).sum() >= _MIN_NOISY_VALUES for level in levels)

"""Masks of two classes, whose values may stray from two grey levels: smoothed edges, JPEG, single pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from visionkit.data.mask_values import ValueCounts

__all__ = ["are_levels", "find_levels", "nearest_level"]

_TOLERANCE = 16
_MIN_FRACTION = 0.98
_MIN_DISTANCE = 64
_MAX_STRAYS = 0.001
_MAX_ASYMMETRY = 50
_BYTE = 256
_WORD_SCALE = 257  # 16-bit masks: 65535 = 257 * 255


def find_levels(masks: Sequence[ValueCounts]) -> tuple[int, int] | None:
    """The two levels of near-binary masks, the lower first; None if they are not near-binary.

    The levels are the most frequent value, and the most frequent one that is far from it.

    Args:
        masks: The values of each mask, ids, without ignored ones.
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
    return levels if are_levels(masks, levels) else None


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
    tolerance = _TOLERANCE * _scale(levels[1])
    for mask in masks:
        is_near = (numpy.abs(mask.values[:, None] - numpy.array(levels)) <= tolerance).any(axis=1)
        if mask.pixels[is_near].sum() < _MIN_FRACTION * mask.pixels.sum():
            return False
    return True


def nearest_level(levels: tuple[int, int]) -> dict[int, int]:
    """For each value that a mask may have, 0 where the lower level is nearer, 1 where the upper one is."""
    low, high = levels
    return {value: int(2 * value > low + high) for value in range(_BYTE * (_BYTE if high >= _BYTE else 1))}


def _scale(highest: int) -> int:
    return _WORD_SCALE if highest >= _BYTE else 1


def _holds_ids(total: ValueCounts, levels: tuple[int, int]) -> bool:
    """Whether the values beside the lower level are ids: many pixels have them, and none are beside the upper one."""
    low, high = levels
    tolerance = _TOLERANCE * _scale(high)
    beside_low = total.pixels[(total.values != low) & (numpy.abs(total.values - low) <= tolerance)].sum()
    beside_high = total.pixels[(total.values != high) & (numpy.abs(total.values - high) <= tolerance)].sum()
    return bool(beside_low >= _MAX_STRAYS * total.pixels.sum() and beside_high * _MAX_ASYMMETRY < beside_low)

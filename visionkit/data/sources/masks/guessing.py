"""Whether the values of masks may be taken for classes where nobody says what they mean, and what to type if not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy

from visionkit.data.mask_contents import ValueCounts
from visionkit.data.mask_values import format_colour
from visionkit.errors import UserError

__all__ = ["check_guessable", "describe_values", "shorten", "suggest_map"]

_MAX_SHOWN = 12
_MAX_GUESSED = 50
_MIN_DISTANCE = 16
_MIN_PEAK = 0.01
_MAX_ROUGH = 0.05
_MIN_ROUGH_VALUES = 4
_BYTE = 255


def check_guessable(values: ValueCounts, *, lossy: bool) -> None:
    """Check that the values of masks which are not near-binary may each be a class.

    Args:
        values: Those of all training masks, without ignored ones.
        lossy: Whether a file's form changes values, as JPEG does.

    Raises:
        UserError: If there are more than 50, they were changed by a lossy form, or most are rare and fill no area, as
            smoothed edges do.
    """
    found = f"the training masks hold {len(values.values)} values ({describe_values(values.values.tolist())})"
    advice = (
        f"Say what the values mean: 'dataset.class_map={suggest_map(values)}' for grey levels, or "
        "dataset.classes=[sky, road, ...], the name of each id from 0"
    )
    if len(values.values) > _MAX_GUESSED:
        raise UserError(
            f"dataset.masks: {found}, too many to be taken for classes: smoothed edges, JPEG and grey pictures look "
            f"like that. Expected at most {_MAX_GUESSED}, or two levels and 98 % of each mask within 16 of them, or a "
            f"list of the classes. {advice}"
        )
    if lossy:
        raise UserError(
            f"dataset.masks: {found}, and masks are saved as JPEG, which changes values: they cannot be taken for "
            "classes, and ids that lie close together are lost. Expected PNG, or two levels and 98 % of each mask "
            f"within 16 of them. Export masks as PNG. {advice}"
        )
    rare = values.pixels < _MAX_ROUGH * values.pixels.sum()
    is_rough = rare & (values.solid < _MAX_ROUGH * values.pixels)
    if is_rough.sum() >= _MIN_ROUGH_VALUES and 2 * is_rough.sum() > len(values.values):
        raise UserError(
            f"dataset.masks: {found}, of which {int(is_rough.sum())} are rare and fill no area, as in smoothed edges: "
            "they cannot be taken for classes. Expected areas of one value each, or two levels and 98 % of each mask "
            f"within 16 of them. Export masks without smoothing. {advice}"
        )


def suggest_map(values: ValueCounts) -> str:
    """A ``dataset.class_map`` of ranges around the grey levels that fill areas, as it is typed."""
    peaks: list[int] = []
    for row in numpy.argsort(-values.solid, kind="stable").tolist():
        value = int(values.values[row])
        if values.solid[row] < _MIN_PEAK * values.pixels.sum() or len(peaks) == _MAX_SHOWN:
            break
        if all(abs(value - peak) > _MIN_DISTANCE for peak in peaks):
            peaks.append(value)
    peaks.sort()
    highest = int(values.values[-1]) if len(values.values) else _BYTE
    if len(peaks) < 2 or highest > _BYTE:
        return "{0-127: background, 128-255: object}"
    ends = [(low + high) // 2 for low, high in pairwise(peaks)]
    bounds = zip([0, *(end + 1 for end in ends)], [*ends, _BYTE], strict=True)
    names = (["background"] if peaks[0] <= _MIN_DISTANCE else ["a"]) + ["b", "c", "d", "e", "f", "g", "h"]
    names += [f"class{number}" for number in range(len(names), len(peaks))]
    ranges = (f"{first}-{last}: {name}" for (first, last), name in zip(bounds, names, strict=False))
    return f"{{{', '.join(ranges)}}}"


def describe_values(values: Sequence[int], *, coloured: bool = False, limit: int = _MAX_SHOWN) -> str:
    """Format values for a message, as in configurations, at most the first ``limit``."""
    return shorten([f"'{format_colour(value)}'" if coloured else str(value) for value in values], limit)


def shorten(names: Sequence[str], limit: int = _MAX_SHOWN) -> str:
    """Names for a message, at most the first ``limit``."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"{', '.join(names[:limit])}{more}"

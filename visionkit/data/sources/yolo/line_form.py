"""Lines of label files that are in another form than YOLO's as a whole."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from visionkit.data.sources.yolo.lines import LabelLines
from visionkit.errors import UserError
from visionkit.schema import quote

__all__ = ["check_line_form"]

_LARGEST = 1.5  # of a fraction, with room for boxes that reach out of the image
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MAX_SHOWN = 60


def check_line_form(splits: Iterable[LabelLines], class_names: Sequence[str]) -> None:
    """Check that lines hold fractions behind a class id.

    Args:
        splits: The lines of each split.
        class_names: One per class id.

    Raises:
        UserError: If half of the lines or more have numbers of pixels; or none can be read, and the first that cannot
            has a class name or DOTA's corners.
    """
    splits = list(splits)
    large = [(lines, row) for lines in splits for row, values in enumerate(lines.values) if _exceeds(values)]
    total = sum(map(len, splits))
    if large and 2 * len(large) >= total:
        lines, row = large[0]
        shown = " ".join(f"{value:g}" for value in lines.values[row][:4])
        raise UserError(
            f"dataset.root: the coordinates of {len(large):,} of {total:,} lines are above 1, as pixels or per cent "
            f"are; {lines.place(row)} has {shown}. Expected fractions of the image's sides, from 0 to 1. Divide x and "
            "width by the image's width, y and height by its height."
        )
    unread = None if total else next((lines.unread for lines in splits if lines.unread is not None), None)
    if unread is None:
        return
    place, line = unread
    words, shown = line.split(), quote(line[:_MAX_SHOWN])
    if len(words) >= 9 and all(map(_NUMBER.fullmatch, words[:8])) and not _NUMBER.fullmatch(words[8]):
        raise UserError(
            f"dataset.root: {place} is {shown}, DOTA's form: four corners in pixels, then the class. Expected "
            "'class x y x y x y x y', the class as a number from 0, the corners as fractions of the image's sides."
        )
    if len(words) >= 5 and not _NUMBER.fullmatch(words[0]) and all(map(_NUMBER.fullmatch, words[1:5])):
        ids = ", ".join(f"{number} for {name}" for number, name in enumerate(class_names[:5]))
        raise UserError(
            f"dataset.root: {place} is {shown}, which begins with the name of a class. Expected its number: {ids}. "
            "Replace the names in all label files by numbers."
        )


def _exceeds(values: Sequence[float]) -> bool:
    """Whether most numbers of a line, and one of the first four, are no fractions."""
    if not max(map(abs, values[:4])) > _LARGEST:
        return False
    return 2 * sum(_LARGEST < abs(value) < math.inf for value in values) > len(values)

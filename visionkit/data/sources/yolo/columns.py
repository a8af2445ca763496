"""What the numbers of a line mean: a box, an outline, or a box with more behind it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy
from numpy.typing import NDArray

from visionkit.errors import UserError

__all__ = ["ColumnRule", "Columns", "find_column_rule"]

Columns = Literal["box", "outline"]
LineKind = Literal["box", "outline", "extra", "malformed"]

_ENOUGH = 10  # different lines that are a box and points within it by chance: under 1e-4, one in three being so
_TOLERANCE = 0.01


@dataclass(frozen=True)
class ColumnRule:
    """Tells lines apart by the number of their values.

    Attributes:
        columns: What the user says they are; None if nothing.
        num_point_values: The number of values of the points behind a box, of ``kpt_shape``; None without it.
        extra_counts: Numbers of values of which the first four are a box and nothing explains the others.
    """

    columns: Columns | None = None
    num_point_values: int | None = None
    extra_counts: frozenset[int] = frozenset()

    def kind(self, values: Sequence[float]) -> LineKind:
        """What a line is: a box, alone or with what is known to stand behind it; an outline; a box with columns that
        nothing explains; or none of them.

        Args:
            values: The numbers behind the class id, at least four.
        """
        count = len(values)
        if count == 4 or self.columns == "box":
            return "box"
        if count == 5:
            return "box" if 0 <= values[4] <= 1 else "extra"  # a confidence
        if self.num_point_values is not None:
            is_pose = count - 4 - self.num_point_values in (0, 1)  # without and with a confidence
            return "box" if is_pose else "malformed"
        if count in self.extra_counts:
            return "extra"
        return "malformed" if count % 2 else "outline"


def find_column_rule(
    lines: Iterable[Sequence[float]], *, columns: Columns | None, kpt_shape: tuple[int, int] | None, with_masks: bool
) -> ColumnRule:
    """The rule for all lines of a data set, by what is said of them or else by their values.

    A line of more than five numbers is an outline, unless all lines of its length are boxes in the image with points
    and their visibility (0, 1 or 2); with a confidence and the number of a track; with an odd number of values; or all
    lines of the set are boxes with points within them, which ten different outlines are not by chance.

    Args:
        lines: The numbers behind the class ids, at least four each.
        columns: What the user says they are.
        kpt_shape: The number of points behind each box, and of values of a point.
        with_masks: Whether the user expects outlines.

    Raises:
        UserError: If fewer than ten different lines may be outlines or boxes with points.
    """
    if columns is not None or kpt_shape is not None:
        return ColumnRule(columns, None if kpt_shape is None else kpt_shape[0] * kpt_shape[1])
    by_count: dict[int, list[Sequence[float]]] = defaultdict(list)
    for values in lines:
        by_count[len(values)].append(values)
    extra = set()
    for count in by_count:
        if count < 6:
            continue
        distinct = numpy.unique(numpy.array(by_count[count], dtype=numpy.float64), axis=0)
        if not _boxes_lie_in_image(distinct):
            continue
        if _has_explained_rest(distinct):
            extra.add(count)
        elif len(by_count) == 1 and _points_lie_in_boxes(distinct):
            if len(distinct) >= _ENOUGH:
                extra.add(count)
            elif not with_masks:
                raise UserError(
                    f"dataset.root: the {count} numbers of each line may be an outline, or a box with points. Expected "
                    f"in the YAML file, if they are points, kpt_shape: [{(count - 4) // 2}, 2]. "
                    "Else try: dataset.columns=outline"
                )
    return ColumnRule(extra_counts=frozenset(extra))


def _boxes_lie_in_image(lines: NDArray[Any]) -> bool:
    centers, sizes = lines[:, :2], lines[:, 2:4]
    in_image = (centers - sizes / 2 >= -_TOLERANCE) & (centers + sizes / 2 <= 1 + _TOLERANCE)
    return bool((in_image & (sizes > 0)).all())


def _has_explained_rest(lines: NDArray[Any]) -> bool:
    """Whether lines (n, count), boxes in the image, have behind these what no outline has."""
    count, is_outline_length = lines.shape[1], lines.shape[1] % 2 == 0
    is_point_length = (count - 4) % 3 == 0 and (len(lines) >= 3 or not is_outline_length)
    if is_point_length and numpy.isin(lines[:, 6::3], (0, 1, 2)).all():
        return True
    if count == 6:
        confidences, tracks = lines[:, 4], lines[:, 5]
        is_track = (tracks == numpy.round(tracks)).all() and (tracks > 1).any()
        return bool(is_track and ((confidences >= 0) & (confidences <= 1)).all())
    return not is_outline_length and len(lines) >= _ENOUGH


def _points_lie_in_boxes(lines: NDArray[Any]) -> bool:
    """Whether the points behind the boxes lie within them, or at 0, 0, where a point is not seen."""
    if lines.shape[1] % 2:
        return False
    points = lines[:, 4:].reshape(len(lines), -1, 2)
    distances = numpy.abs(points - lines[:, None, :2])
    is_inside = (distances <= lines[:, None, 2:4] / 2 + _TOLERANCE).all(axis=2)
    return bool((is_inside | (points == 0).all(axis=2)).all())

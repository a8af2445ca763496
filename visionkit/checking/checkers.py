"""All that is looked for, in the order in which it is said."""

from __future__ import annotations

from collections.abc import Callable

from visionkit.checking.box_checks import check_boxes, check_counts, check_levels, check_overlaps
from visionkit.checking.class_checks import check_balance, check_classes, check_splits
from visionkit.checking.data_set import DataSet
from visionkit.checking.file_checks import check_headers, check_names
from visionkit.checking.mask_checks import check_masks
from visionkit.checking.outline_checks import check_outlines
from visionkit.checking.pixel_checks import check_kinds, check_pixels, check_sizes
from visionkit.checking.twin_checks import check_bursts, check_groups, check_twins
from visionkit.data.findings import Finding

__all__ = ["CHECKERS", "CheckerFn"]

CheckerFn = Callable[[DataSet], list[Finding]]

CHECKERS: tuple[CheckerFn, ...] = (
    check_headers, check_names, check_kinds, check_sizes, check_pixels, check_twins, check_bursts, check_groups,
    check_classes, check_balance, check_splits, check_boxes, check_overlaps, check_levels, check_counts,
    check_outlines, check_masks,
)  # fmt: skip
"""Each gives findings on one matter; what its reader has said is not said again."""

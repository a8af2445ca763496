"""All that is looked for, in the order in which it is said."""

from __future__ import annotations

from collections.abc import Callable

from visionkit.check.data_set import DataSet
from visionkit.check.file_checks import check_headers, check_names
from visionkit.data.findings import Finding

__all__ = ["CHECKERS", "CheckerFn"]

CheckerFn = Callable[[DataSet], list[Finding]]

CHECKERS: tuple[CheckerFn, ...] = (check_headers, check_names)
"""Each gives findings on one matter; what its reader has said is not said again."""

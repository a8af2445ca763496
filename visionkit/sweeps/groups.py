"""Groups of a sweep's runs, ranked by the validation metric, and which of their numbers are shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from visionkit.sweeps.job import RunRow
from visionkit.tasks.info import TaskInfo

__all__ = ["Group", "best_run", "confidence", "describe_repeats", "group_runs", "withhold_tests"]

REPEATS: Mapping[str, str] = {"seed": "seeds", "dataset.fold": "folds"}
"""The swept keys whose values repeat a run, and their plural."""


@dataclass(frozen=True)
class Group:
    """Finished runs that differ only in their seed, or in the fold of cross-validation.

    Attributes:
        overrides: The swept keys without those of `REPEATS`, and their values.
        rows: The runs.
    """

    overrides: Mapping[str, str]
    rows: Sequence[RunRow]

    def mean(self, metric: str) -> tuple[float, float | None]:
        """Mean of a metric over seeds and folds, and half the width of its `confidence` interval."""
        values = [row.metrics[metric] for row in self.rows if metric in row.metrics]
        return (fmean(values), confidence(values)) if values else (math.nan, None)


def confidence(values: Sequence[float]) -> float | None:
    """Half the width of the 95 % confidence interval of a mean, by Student's t distribution.

    Returns:
        None for fewer than two values, if one is not finite, or if all are equal, which tells of no spread but that of
        the rounding: 0 would read as certainty.
    """
    if len(set(values)) < 2 or not all(map(math.isfinite, values)):
        return None
    from scipy.special import stdtrit

    return float(stdtrit(len(values) - 1, 0.975)) * stdev(values) / math.sqrt(len(values))


def group_runs(rows: Sequence[RunRow], info: TaskInfo) -> list[Group]:
    """Group the finished runs over seeds and folds, sorted by the mean of the task's validation metric."""
    groups: dict[tuple[tuple[str, str], ...], list[RunRow]] = {}
    for row in rows:
        if row.status == "done":
            groups.setdefault(tuple((k, v) for k, v in row.overrides.items() if k not in REPEATS), []).append(row)
    grouped = [Group(dict(key), members) for key, members in groups.items()]
    return sorted(grouped, key=lambda group: _sort_key(group.mean(info.monitor)[0], info))


def best_run(rows: Sequence[RunRow], info: TaskInfo) -> RunRow | None:
    """The run with the best validation metric in the best group, the first of equal ones; None if no run is done."""
    groups = group_runs(rows, info)
    if not groups:
        return None
    return min(groups[0].rows, key=lambda row: _sort_key(row.metrics.get(info.monitor, math.nan), info))


def withhold_tests(rows: Sequence[RunRow], info: TaskInfo) -> list[RunRow]:
    """Copies of the rows, in which those of the best group alone have numbers of the test split.

    Who sees those of all runs chooses by them, and the best of them then overstates what the model does on new images
    (Cawley and Talbot 2010, JMLR 11, section 4).
    """
    groups = group_runs(rows, info)
    shown = {row.number for row in groups[0].rows} if groups else set()
    return [
        row
        if row.number in shown
        else replace(row, metrics={name: x for name, x in row.metrics.items() if not name.startswith("test/")})
        for row in rows
    ]


def describe_repeats(groups: Sequence[Group]) -> str:
    """What the numbers of a group are means over, for a title; empty if each group is one run."""
    rows = [row for group in groups if len(group.rows) > 1 for row in group.rows]
    words = [word for key, word in REPEATS.items() if len({row.overrides.get(key) for row in rows}) > 1]
    if not words:
        return ""
    sizes = sorted({len(group.rows) for group in groups if len(group.rows) > 1})
    count = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return f", mean ± half the 95 % interval of the mean (Student's t) over {count} {' and '.join(words)}"


def _sort_key(value: float, info: TaskInfo) -> tuple[bool, float]:
    """A key that sorts the best value first and NaN last."""
    return (value != value, -value if info.mode == "max" else value)

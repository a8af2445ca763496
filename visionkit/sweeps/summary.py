"""The summary of a sweep: finished runs, grouped over seeds and ranked by the validation metric."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from rich.table import Table
from rich.text import Text

from visionkit.console import Printer, print_json, print_next_steps, stdout_console
from visionkit.metric_names import metric_title
from visionkit.sweeps.folder import SweepFolder
from visionkit.sweeps.job import RunRow
from visionkit.tasks.info import TaskInfo

__all__ = [
    "Group",
    "best_run",
    "shorten",
    "confidence",
    "describe_repeats",
    "group_json",
    "group_runs",
    "sweep_table",
    "SweepSummary",
]

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
        None for fewer than two values, or if one is not finite.
    """
    if len(values) < 2 or not all(map(math.isfinite, values)):
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
    """The finished run with the best validation metric, the first of equal ones; None if no run is done."""
    done = [row for row in rows if row.status == "done"]
    return min(done, key=lambda row: _sort_key(row.metrics.get(info.monitor, math.nan), info)) if done else None


def sweep_table(groups: Sequence[Group], info: TaskInfo, *, title: str) -> Table:
    """The groups as a table for the console.

    Args:
        groups: The result of `group_runs`.
        info: The task, whose validation metric is the first column and the same on the test split the second.
        title: The title of the table.
    """
    table = Table(title=Text(title, style="bold"), title_justify="left")
    keys = list(dict.fromkeys(key for group in groups for key in group.overrides))
    metrics = [info.monitor, info.monitor.replace("val/", "test/")]
    metrics = [name for name in metrics if any(name in row.metrics for group in groups for row in group.rows)]
    for key in keys:
        table.add_column(Text(key), overflow="fold")
    for name in (*metrics, "parameters", "seconds", "runs"):
        table.add_column(metric_title(name), justify="right", no_wrap=name in metrics)
    for group in groups:
        sizes = {row.parameters for row in group.rows if row.parameters is not None}
        table.add_row(
            *(Text(shorten(group.overrides.get(key, ""))) for key in keys),
            *(_cell(*group.mean(name)) for name in metrics),
            " ".join(f"{size:,}" for size in sorted(sizes)),
            f"{fmean(row.seconds for row in group.rows):.1f}",
            " ".join(str(row.number) for row in group.rows),
        )
    return table


def group_json(group: Group, metrics: Sequence[str]) -> dict[str, Any]:
    """A group as plain values for JSON, with mean and interval of each metric."""
    means = {name: group.mean(name) for name in metrics}
    return {
        "overrides": dict(group.overrides),
        "runs": [row.number for row in group.rows],
        "metrics": {name: {"mean": mean, "interval_95": half_width} for name, (mean, half_width) in means.items()},
    }


def shorten(text: str) -> str:
    """A value as typed, for display; a number of more than 8 characters is rounded to 4 digits."""
    try:
        return text if len(text) <= 8 else f"{float(text):.4g}"
    except ValueError:
        return text


def describe_repeats(groups: Sequence[Group]) -> str:
    """What the numbers of a group are means over, for a title; empty if each group is one run."""
    rows = [row for group in groups if len(group.rows) > 1 for row in group.rows]
    words = [word for key, word in REPEATS.items() if len({row.overrides.get(key) for row in rows}) > 1]
    return f", mean and 95 % interval over {' and '.join(words)}" if words else ""


def _sort_key(value: float, info: TaskInfo) -> tuple[bool, float]:
    """A key that sorts the best value first and NaN last."""
    return (value != value, -value if info.mode == "max" else value)


def _cell(mean: float, half_width: float | None) -> str:
    return f"{mean:.4f}" if half_width is None else f"{mean:.4f} ± {half_width:.4f}"


@dataclass(frozen=True)
class SweepSummary:
    """The summary that a sweep or a search prints at its end.

    Attributes:
        folder: The folder of the sweep.
        info: The task, whose validation metric ranks the runs.
        command: The arguments without ``run_dir`` and ``resume``.
        as_json: Print one JSON document.
    """

    folder: SweepFolder
    info: TaskInfo
    command: str
    as_json: bool

    def print(self, printer: Printer, *, resumable: bool, extra_commands: Sequence[str] = ()) -> None:
        """Print the table, the failures, and commands to run next.

        Args:
            printer: For all lines but the table, which goes to standard output unless ``as_json``.
            resumable: Whether runs are left that the same command with ``resume=true`` would do.
            extra_commands: More commands to print.
        """
        rows = [self.folder.rows[number] for number in sorted(self.folder.rows)]
        groups, best = group_runs(rows, self.info), best_run(rows, self.info)
        commands = self._commands(best, resumable=resumable) + list(extra_commands)
        if groups:
            title = f"by {metric_title(self.info.monitor)}{describe_repeats(groups)}"
            table = sweep_table(groups, self.info, title=title)
            (printer.print if self.as_json else stdout_console().print)(table)
        for row in rows:
            if row.status == "failed":
                printer.print(f"run {row.number} failed: {row.reason}")
        printer.print(f"Everything lies in {self.folder.path}; all numbers in {self.folder.table_file}")
        if commands:
            print_next_steps(printer, commands)
        if self.as_json:
            names = list(dict.fromkeys(name for row in rows for name in row.metrics))
            print_json(
                {
                    "sweep": str(self.folder.path),
                    "runs": [asdict(row) for row in rows],
                    "groups": [group_json(group, names) for group in groups],
                    "best": None if best is None else best.number,
                    "next": commands,
                }
            )

    def _commands(self, best: RunRow | None, *, resumable: bool) -> list[str]:
        commands = []
        run_dir = f"run_dir={shlex.quote(str(self.folder.path))}"
        if resumable:
            commands.append(f"python -m visionkit {self.command} {run_dir} resume=true")
        if best is not None:
            run = f"run={shlex.quote(self.folder.run_dir(best.number))}"
            plugins = [text for text in shlex.split(self.command) if text.startswith("plugins=")]
            arguments = " ".join([run, *map(shlex.quote, plugins)])
            commands.append(f"python -m visionkit evaluate {arguments}")
            commands.append(f"python -m visionkit predict {arguments} source=IMAGE_OR_FOLDER")
        return commands

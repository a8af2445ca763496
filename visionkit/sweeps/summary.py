"""The summary of a sweep: finished runs, grouped over seeds and ranked by the validation metric."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from visionkit.console import Printer, print_json, print_next_steps
from visionkit.metric_names import metric_title
from visionkit.report.tables import Grid, print_grid
from visionkit.sweeps.folder import SweepFolder
from visionkit.sweeps.groups import Group, best_run, describe_repeats, group_runs, withhold_tests
from visionkit.sweeps.job import RunRow
from visionkit.tasks.info import TaskInfo

__all__ = ["SweepSummary", "group_json", "shorten", "sweep_grid"]

_NAMED_RUNS = 8


def sweep_grid(groups: Sequence[Group], info: TaskInfo, *, title: str) -> Grid:
    """The groups as a table for the console.

    Args:
        groups: The result of `group_runs`, of rows that went through `withhold_tests`.
        info: The task, whose validation metric follows the swept keys, and the same on the test split that.
        title: The title of the table.
    """
    keys = list(dict.fromkeys(key for group in groups for key in group.overrides))
    test = info.monitor.replace("val/", "test/")
    metrics = [name for name in (info.monitor, test) if any(name in row.metrics for g in groups for row in g.rows)]
    several = any(len(group.rows) > 1 for group in groups)
    return Grid(
        title,
        [
            "runs" if several else "run",
            *keys,
            *map(metric_title, metrics),
            "parameters",
            "seconds per run" if several else "seconds",
        ],
        [
            [
                " ".join(str(row.number) for row in group.rows),
                *(shorten(group.overrides.get(key, "")) for key in keys),
                *(_cell(*group.mean(name)) for name in metrics),
                " ".join(
                    f"{size:,}" for size in sorted({r.parameters for r in group.rows if r.parameters is not None})
                ),
                f"{fmean(row.seconds for row in group.rows):.1f}",
            ]
            for group in groups
        ],
        [False] * (1 + len(keys)) + [True] * (len(metrics) + 2),
        notes=_table_notes(groups, info, has_test=test in metrics, several=several),
        elsewhere="the file sweep.csv",
    )


def _table_notes(groups: Sequence[Group], info: TaskInfo, *, has_test: bool, several: bool) -> list[str]:
    """The lines below the table."""
    notes = []
    if several and any(group.mean(info.monitor)[1] is None for group in groups):
        notes.append("No ± stands where there is one run, or where all have the same value: the spread is not known.")
    if has_test:
        test, monitor = metric_title(info.monitor.replace("val/", "test/")), metric_title(info.monitor)
        notes.append(f"{test} is that of the best by {monitor} alone: who chooses by it fits the test split.")
    return notes


def group_json(group: Group, metrics: Sequence[str]) -> dict[str, Any]:
    """A group as plain values for JSON, with mean and interval of each metric."""
    means = {name: group.mean(name) for name in metrics}
    return {
        "overrides": dict(group.overrides),
        "runs": [row.number for row in group.rows],
        "metrics": {
            name: {"mean": mean, "interval_95": half_width}
            for name, (mean, half_width) in means.items()
            if any(name in row.metrics for row in group.rows)
        },
    }


def shorten(text: str) -> str:
    """A value as typed, for display; a number of more than 8 characters is rounded to 4 digits."""
    try:
        return text if len(text) <= 8 else f"{float(text):.4g}"
    except ValueError:
        return text


def _cell(mean: float, half_width: float | None) -> str:
    if math.isnan(mean) and half_width is None:
        return ""
    return f"{mean:.4f}" if half_width is None else f"{mean:.4f} ± {half_width:.4f}"


def _name_runs(runs: Sequence[int], total: int) -> str:
    """How many runs these are, and which: at most eight by their numbers."""
    if len(runs) == total:
        return "the one run" if total == 1 else f"all {total} runs"
    numbers = " ".join(map(str, runs[:_NAMED_RUNS])) + (" ..." if len(runs) > _NAMED_RUNS else "")
    return f"{len(runs)} of {total} runs: {numbers}"


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
        rows = withhold_tests([self.folder.rows[number] for number in sorted(self.folder.rows)], self.info)
        groups, best = group_runs(rows, self.info), best_run(rows, self.info)
        commands = self._commands(best, resumable=resumable) + list(extra_commands)
        if groups:
            title = f"by {metric_title(self.info.monitor)}{describe_repeats(groups)}"
            grid = sweep_grid(groups, self.info, title=title)
            print_grid(grid, "text", console=printer.console if self.as_json or printer.is_silent else None)
        for row in rows:
            if row.status == "failed":
                printer.print(f"run {row.number} failed: {row.reason}")
        notes = self.folder.notes()
        printer.print(*(f"note ({_name_runs(runs, len(rows))}): {note}" for note, runs in notes.items()))
        printer.print(f"Everything lies in {self.folder.path}; a row for each run in {self.folder.table_file}")
        if commands:
            print_next_steps(printer, commands)
        if self.as_json:
            names = list(dict.fromkeys(name for row in rows for name in row.metrics))
            print_json(
                {
                    "sweep": str(self.folder.path),
                    "runs": [asdict(row) for row in rows],
                    "groups": [group_json(group, names) for group in groups],
                    "notes": [{"note": note, "runs": runs} for note, runs in notes.items()],
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

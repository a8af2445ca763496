"""The verb ``runs``: a list of all runs below a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from visionkit.console import print_json
from visionkit.errors import ExitCode, UserError, did_you_mean
from visionkit.files import expand_user, similar_path
from visionkit.metric_names import metric_title
from visionkit.report.tables import Grid, print_grid
from visionkit.runs.folder import RUNS
from visionkit.runs.listing import ListedRun, list_runs
from visionkit.tasks.info import TASKS
from visionkit.text import printable

__all__ = ["print_runs"]


def print_runs(options: Mapping[str, str]) -> int:
    """Print the runs below a folder, the newest last.

    Args:
        options: ``root``, ``task`` and ``format``, where given.

    Raises:
        UserError: If there is no such folder or task.
    """
    root, task = expand_user(options.get("root", RUNS)), options.get("task")
    if task is not None and task not in TASKS:
        raise UserError(f"task: found '{task}'.{did_you_mean(task, TASKS)} Expected one of {', '.join(TASKS)}.")
    if "root" in options and not root.is_dir():
        problem = "is a file" if root.is_file() else "is not there"
        raise UserError(f"root: '{root}' {problem}.{similar_path(root)} Expected a folder with runs, such as root=runs")
    runs = list_runs(root, task=task)
    if options.get("format") == "json":
        print_json({"root": str(root), "runs": [_plain(run) for run in runs]})
    elif runs:
        print_grid(_grid(runs), "text")
    else:
        of_task = "" if task is None else f" of task {task}"
        again = f"python -m visionkit train task={task or 'classify'}"
        print(printable(f"There is no run{of_task} below '{root}'. Train one: {again}"))
    return ExitCode.DONE


def _grid(runs: Sequence[ListedRun]) -> Grid:
    rows = []
    for run in runs:
        shown = run.headline
        interval = "" if shown is None or shown.low is None else f"{shown.low:.4f} to {shown.high:.4f}"
        metric = "" if shown is None else f"{metric_title(shown.name)} {shown.value:.4f}"
        data = f"{run.data} {Path(run.root).name}".strip()
        date = "" if run.started is None else f"{run.started:%Y-%m-%d %H:%M}"
        rows.append([str(run.path), run.task, run.backbone, data, metric, interval, date, run.state])
    headings = ["run", "task", "backbone", "data", "metric", "95 % interval", "date", "state"]
    problems = [f"{run.path} is damaged: {run.problem}" for run in runs if run.problem]
    count = "1 run" if len(runs) == 1 else f"{len(runs):,} runs"
    return Grid(f"{count}, the newest last", headings, rows, [False] * 8, notes=problems, elsewhere="format=json")


def _plain(run: ListedRun) -> dict[str, Any]:
    started = None if run.started is None else run.started.isoformat()
    return {**asdict(run), "path": str(run.path), "started": started}

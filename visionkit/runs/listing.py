"""All runs below a folder with their main numbers, read without parsing their configurations or taking their locks."""

from __future__ import annotations

import json
import math
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from visionkit.errors import UserError
from visionkit.files import read_text
from visionkit.runs.alive import is_alive
from visionkit.runs.folder import FORMAT_KEY, FORMAT_VERSION
from visionkit.runs.lock import LOCK_NAME
from visionkit.runs.paths import RunPaths
from visionkit.runs.results import read_metrics
from visionkit.runs.started import read_started
from visionkit.tasks.info import TASKS
from visionkit.yaml_files import MAX_YAML_BYTES

__all__ = ["Headline", "ListedRun", "find_runs", "headline", "is_being_trained", "list_runs"]

_RUN_FILES = frozenset(
    {"checkpoints", "data.json", "environment.json", "log.txt", "metrics.csv", "metrics.json", LOCK_NAME}
)
"""What lies beside the ``config.yaml`` of a run, and not beside one of another program."""

_LOCK_OWNER = re.compile(r"process (\d{1,10}) on (.+)")
_MAX_LOCK_BYTES = 1024


@dataclass(frozen=True)
class Headline:
    """The metric by which the runs of a task are judged, on the split that was tested.

    Attributes:
        name: Such as ``test/accuracy``.
        value: NaN if it was not finite.
        low: The lower end of the 95 % interval; None without one.
        high: The upper end.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ListedRun:
    """One run as a line of a list.

    Attributes:
        path: Its folder.
        state: ``done``, ``unfinished``, ``training now`` or ``damaged``.
        task: Empty where ``config.yaml`` does not say it, as the two following.
        backbone: The name of the backbone.
        data: The type of the data set.
        root: The folder of the data; empty without one.
        headline: The main metric; None before the run is finished.
        started: When it was begun; None if nothing says so.
        problem: What is damaged; else empty.
    """

    path: Path
    state: str
    task: str = ""
    backbone: str = ""
    data: str = ""
    root: str = ""
    headline: Headline | None = None
    started: datetime | None = None
    problem: str = ""


def list_runs(root: Path, *, task: str | None = None) -> list[ListedRun]:
    """The runs below a folder in the order in which they were begun, those without a date first.

    Args:
        root: A folder, which may be that of a single run.
        task: Keep the runs of this task, and those that are too damaged to tell.
    """
    unreadable: list[OSError] = []
    runs = [_read_run(path) for path in find_runs(root, unreadable)]
    for error in unreadable:
        if isinstance(error, FileNotFoundError):  # it was removed meanwhile, or never there
            continue
        problem = f"the folder cannot be read: {(error.strerror or str(error)).lower()}"
        runs.append(ListedRun(Path(error.filename or root), "damaged", problem=problem))
    never = datetime.min.replace(tzinfo=UTC)
    kept = [run for run in runs if task is None or run.task == task or (run.state == "damaged" and not run.task)]
    return sorted(kept, key=lambda run: (run.started or never, str(run.path)))


def find_runs(root: Path, unreadable: list[OSError] | None = None) -> Iterator[Path]:
    """The folders of runs below a folder, itself included; the inside of a run is not searched, nor hidden folders.

    Args:
        root: Where to look; links below it are not followed.
        unreadable: Receives an error for each folder that cannot be read.
    """
    for name, folders, files in os.walk(root, onerror=None if unreadable is None else unreadable.append):
        path = Path(name)
        beside = _RUN_FILES & {*files, *folders}
        if "config.yaml" in files and (beside or _is_run_config(path / "config.yaml")):
            folders.clear()
            yield path
        else:
            folders[:] = sorted(folder for folder in folders if not folder.startswith("."))


def headline(task: str, metrics: dict[str, float]) -> Headline | None:
    """The monitored metric of a task on the test split, or on the validation split of data without a test split.

    Args:
        task: The name of the task.
        metrics: The content of ``metrics.json``.
    """
    monitor = TASKS[task].monitor if task in TASKS else ""
    for name in (monitor.replace("val/", "test/"), monitor):
        if name in metrics:
            low, high = (metrics.get(f"{name}_{end}", math.nan) for end in ("low", "high"))
            known = math.isfinite(low) and math.isfinite(high)
            return Headline(name, metrics[name], low if known else None, high if known else None)
    return None


def is_being_trained(path: Path) -> bool:
    """Whether a process of this machine holds a run, by what its lock file says; the lock is not touched.

    A lock of another machine, whose processes cannot be seen, counts as left behind.
    """
    file = path / LOCK_NAME
    try:
        owner = _LOCK_OWNER.fullmatch(read_text(file, max_bytes=_MAX_LOCK_BYTES))
        taken = file.stat().st_mtime
    except (OSError, UserError, ValueError):
        return False
    return owner is not None and owner[2] == socket.gethostname() and is_alive(int(owner[1]), since=taken)


def _read_run(path: Path) -> ListedRun:
    paths = RunPaths(path)
    try:
        text = read_text(paths.config_file, max_bytes=MAX_YAML_BYTES)
    except (OSError, UserError, ValueError) as error:
        return ListedRun(path, "damaged", problem=f"config.yaml cannot be read: {error}")
    run = ListedRun(
        path,
        "unfinished",
        task=_section_value(text, "task", "name"),
        backbone=_section_value(text, "backbone", "name"),
        data=_section_value(text, "dataset", "type"),
        root=_section_value(text, "dataset", "root"),
        started=read_started(paths.config_file, text=text),
    )
    version = re.search(rf"^{FORMAT_KEY}: *(\S+)", text, re.MULTILINE)
    if not run.task or not run.backbone:
        return replace(run, state="damaged", problem="config.yaml names no task and backbone, as that of a run does")
    if version is None or version[1] != str(FORMAT_VERSION):
        found = "no format_version" if version is None else f"format_version {version[1]}"
        return replace(run, state="damaged", problem=f"{found}, and this visionkit reads {FORMAT_VERSION}")
    if is_being_trained(path):
        return replace(run, state="training now")
    if not paths.metrics_file.exists():
        return run
    try:
        return replace(run, state="done", headline=headline(run.task, read_metrics(paths.metrics_file, advice="")))
    except UserError as error:
        return replace(run, state="damaged", problem=str(error).strip())


def _is_run_config(file: Path) -> bool:
    try:
        return read_text(file, max_bytes=MAX_YAML_BYTES).startswith(FORMAT_KEY)
    except (OSError, UserError, ValueError):
        return False


def _section_value(text: str, section: str, key: str) -> str:
    """The value of a key of a section of ``config.yaml``, as `visionkit.yaml_files.dump_yaml` writes it."""
    found = re.search(rf"^{section}:\n((?: .*\n?)*)", text, re.MULTILINE)
    value = re.search(rf"^  {key}: *(\S.*(?:\n    .+)*)$", found[1], re.MULTILINE) if found else None
    if value is None or value[1] == "null":
        return ""
    word = re.sub(r"\n +", " ", value[1].rstrip())
    if word.startswith("'"):
        return word[1:].removesuffix("'").replace("''", "'")
    if word.startswith('"'):
        try:
            return str(json.loads(word))
        except ValueError:
            return word
    return word

"""The folder of a run: who may write to it, and atomic reads and writes of its files."""

import csv
import io
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from visionkit.errors import UserError
from visionkit.files import TEMPORARY, check_writable, expand_user, write_atomic
from visionkit.runs.added_keys import with_added_keys
from visionkit.runs.lock import LOCK_NAME, RunLock
from visionkit.runs.paths import RunPaths
from visionkit.runs.results import read_history, read_metrics
from visionkit.runs.started import STARTED_KEY, TIME_FORMAT, read_started
from visionkit.runs.suggestions import suggest_run
from visionkit.schema import describe
from visionkit.text import json_text, quote_cell
from visionkit.yaml_files import dump_yaml, read_yaml

__all__ = ["RunFolder"]

RUNS = Path("runs")
FORMAT_KEY, FORMAT_VERSION = "format_version", 4
"""First entry of ``config.yaml``; incremented when the layout of a run folder or the format of a file changes."""


class RunFolder(RunPaths):
    """One run on disk.

    Attributes:
        path: The folder as given; `reserve` may change that of a planned run.
    """

    def __init__(self, path: Path, *, named_by_time: bool = False) -> None:
        super().__init__(path)
        self._named_by_time = named_by_time
        self._created: list[Path] = []
        self._lock: RunLock | None = None

    @classmethod
    def create(cls, name: str, run_dir: str | None, plain: Mapping[str, Any]) -> "RunFolder":
        """Create the folder of a new run: `plan`, `reserve`, then `start`.

        Raises:
            UserError: If ``run_dir`` is neither new nor empty, or the folder cannot be created.
        """
        folder = cls.plan(name, run_dir)
        folder.reserve()
        folder.start(plain)
        return folder

    @classmethod
    def plan(cls, name: str, run_dir: str | None) -> "RunFolder":
        """Choose the path of a new run without writing anything.

        Args:
            name: ``<task>-<backbone>-<dataset>``; the folder is ``runs/<name>/<time>``.
            run_dir: Replaces the whole path.

        Raises:
            UserError: If ``run_dir`` is neither new nor empty.
        """
        cls.check_free(run_dir, name=name)
        if run_dir is not None:
            return cls(expand_user(run_dir))
        return cls(_free_folder(RUNS / name), named_by_time=True)

    def reserve(self) -> None:
        """Create the planned folder; if another run has created it meanwhile, the next free one.

        Raises:
            UserError: If the folder cannot be created.
        """
        try:
            missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
            self.path.parent.mkdir(parents=True, exist_ok=True)
            while True:
                try:
                    self.path.mkdir(exist_ok=not self._named_by_time)
                    break
                except FileExistsError:
                    if not self._named_by_time:
                        raise
                    missing = [folder for folder in missing if folder != self.path]
                    self.path = _free_folder(self.path.parent)
        except OSError as error:
            raise UserError(f"run_dir: the folder '{self.path}' cannot be made: {error.strerror}.") from None
        self._created = list(dict.fromkeys([self.path, *missing])) if self._named_by_time else missing

    def lock(self) -> None:
        """Take the folder for this process until `unlock`, and remove what a killed process left half-written.

        Raises:
            UserError: If another process trains in it, or it cannot be written.
        """
        try:
            self._lock = RunLock(self.path)
        except OSError as error:
            raise UserError(f"run_dir: the folder '{self.path}' cannot be written: {error.strerror}.") from None
        for folder in (self.path, self.last_checkpoint.parent, self.plots):
            for file in folder.glob(TEMPORARY.format(name="*", process="*")):
                file.unlink(missing_ok=True)

    def unlock(self) -> None:
        """Leave the folder to others; nothing happens if this process has not taken it."""
        if self._lock is not None:
            self._lock.release()

    def start(self, plain: Mapping[str, Any], *, resume: bool = False) -> None:
        """Write the resolved configuration to ``config.yaml``, which makes the folder that of a run.

        Args:
            plain: The configuration.
            resume: Whether it replaces that of the run.

        Raises:
            UserError: If the folder of a new run has one already.
        """
        started = datetime.now().astimezone()
        if resume:
            started = self.started or started
        elif self.config_file.exists():
            self.check_free(str(self.path))
        head = {FORMAT_KEY: FORMAT_VERSION, STARTED_KEY: started.isoformat()}
        write_atomic(self.config_file, dump_yaml({**head, **plain}))

    @property
    def started(self) -> datetime | None:
        """When the run was begun, by its own word or else by the name of its folder; None if neither says so."""
        return read_started(self.config_file)

    @property
    def is_finished(self) -> bool:
        """Whether the run has been trained and tested."""
        return self.metrics_file.is_file()

    def check_present(self) -> None:
        """Check that the folder is still there, if this process has taken it.

        Raises:
            UserError: If it was moved or removed.
        """
        if self._lock is not None and not self._lock.is_in_place():
            raise UserError(
                f"run: the folder '{self.path}' was moved or removed while the run was trained. Expected it to stay "
                "until the run is done. What was trained since its last checkpoint is lost."
            )

    def discard(self) -> None:
        """Remove the folders that `reserve` created, if they are empty and `start` was not called."""
        self.unlock()
        if self.config_file.exists():
            return
        self.splits_file.unlink(missing_ok=True)
        for folder in self._created:
            try:
                folder.rmdir()
            except OSError:
                return

    @staticmethod
    def check_free(run_dir: str | None, *, name: str = "") -> None:
        """Check that ``run_dir``, or ``runs/<name>`` without one, can take a new run.

        Raises:
            UserError: If it is a file, or a folder that is not empty, or cannot be read or written.
        """
        path = RUNS / name if run_dir is None else expand_user(run_dir)
        check_writable(path, where="run_dir")
        if run_dir is None:
            return
        if (path / "config.yaml").exists():
            raise UserError(
                f"run_dir: '{path}' already holds a run. Expected a folder without one. Try another run_dir=..., or "
                f"resume=true run={path} to continue that run."
            )
        try:
            names = (inner.name for inner in path.iterdir() if inner.name != LOCK_NAME) if path.exists() else ()
            first = min(names, default=None)
        except OSError as error:
            raise UserError(f"run_dir: the folder '{path}' cannot be read: {error.strerror}.") from None
        if first is not None:
            raise UserError(
                f"run_dir: the folder '{path}' is not empty; it holds '{first}'. Expected a folder that is new or "
                f"empty. Try: run_dir={path / 'run'}"
            )

    @classmethod
    def open(cls, path: str) -> "RunFolder":
        """Open the folder of an existing run.

        Args:
            path: A folder, or ``latest`` for the one below ``runs/`` that was begun last, whenever its files were
                written or copied.

        Raises:
            UserError: If it does not exist, or its ``config.yaml`` is not that of a run.
        """
        if path == "latest":
            latest = cls.latest()
            if latest is None:
                raise UserError(
                    f"run=latest: there is no run below '{RUNS}' yet. Train one first: python -m visionkit train"
                )
            return latest
        folder = cls(expand_user(path))
        problem = ""
        if not folder.config_file.is_file():
            problem = "it has no config.yaml" if folder.path.is_dir() else "there is no such folder"
            if folder.config_file.exists():
                problem = "its config.yaml is no file"
            elif (folder.path / "sweep.yaml").is_file():
                problem = f"it holds a sweep, with a run in each of its folders, such as run={folder.path}/0"
        else:
            if not _describes_run(folder.read_config()):
                problem = "its config.yaml names no task and no backbone"
        if problem:
            raise UserError(
                f"run: '{path}' is no run folder: {problem}.{suggest_run(path)} Expected a folder that train has made, "
                "such as runs/<task>-<backbone>-<dataset>/<time>, or run=latest."
            )
        return folder

    @classmethod
    def latest(cls, *, finished: bool = False) -> "RunFolder | None":
        """The run below ``runs/`` that was begun last, of a run and its copies the first name; None without any.

        Args:
            finished: Whether it must be finished.
        """
        folders = [cls(file.parent) for file in sorted(RUNS.glob("*/*/config.yaml"))]
        folders = [folder for folder in folders if folder.is_finished or not finished]
        never = datetime.min.replace(tzinfo=UTC)
        return max(folders, key=lambda folder: folder.started or never, default=None)

    def read_config(self) -> dict[str, Any]:
        """The resolved configuration, without the version of the folder's format.

        Raises:
            UserError: If the file cannot be read or is no mapping, or the folder has another format version.
        """
        values = read_yaml(self.config_file, where="run: ")
        if not isinstance(values, dict):
            raise UserError(f"run: '{self.config_file}' holds no mapping; it is not the file that train wrote.")
        version = values.pop(FORMAT_KEY, None)
        values.pop(STARTED_KEY, None)
        if (type(version) is not int or version != FORMAT_VERSION) and _describes_run(values):
            problem = f"no {FORMAT_KEY}" if version is None else f"{FORMAT_KEY} {describe(version)}"
            raise UserError(
                f"run: '{self.config_file}' has {problem}, and this visionkit reads {FORMAT_VERSION}: the run was made "
                "by an older or a newer one. Expected a run of this one. Train it again with the command that made it."
            )
        return with_added_keys(values)

    def write_json(self, path: Path, values: Any) -> None:
        """Write one JSON document atomically; a number that is not finite becomes null."""
        write_atomic(path, json_text(values, indent=2) + "\n")

    def write_csv(self, path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Write one table atomically; None becomes an empty cell."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(map(quote_cell, columns))
        writer.writerows(map(quote_cell, row) for row in rows)
        write_atomic(path, text.getvalue())

    def read_history(self) -> list[dict[str, float]]:
        """The rows of ``metrics.csv``, without empty cells; no rows before the end of the first epoch.

        Raises:
            UserError: If the file is damaged.
        """
        return read_history(self.history_file)

    def read_metrics(self, *, advice: str) -> dict[str, float]:
        """The numbers of ``metrics.json``, of a finished run.

        Args:
            advice: What an error message ends with: what to type instead.

        Raises:
            UserError: If the file is damaged.
        """
        return read_metrics(self.metrics_file, advice=advice)


def _describes_run(values: Mapping[str, Any]) -> bool:
    return all(isinstance(values.get(key), Mapping) for key in ("task", "backbone"))


def _free_folder(parent: Path) -> Path:
    """A path in ``parent`` named by the time, with a suffix if it exists already."""
    name = time.strftime(TIME_FORMAT)
    candidates = [name, *(f"{name}_{number}" for number in range(2, 1000))]
    return parent / next(candidate for candidate in candidates if not (parent / candidate).exists())

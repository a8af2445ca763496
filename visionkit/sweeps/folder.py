"""The folder of a sweep: numbered run folders, the table ``sweep.csv``, and the arguments in ``sweep.yaml``."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from visionkit.errors import UserError
from visionkit.files import check_writable, expand_user, write_atomic
from visionkit.runs.folder import RunFolder
from visionkit.runs.notes import read_notes
from visionkit.sweeps.groups import withhold_tests
from visionkit.sweeps.job import Job, RunRow, read_metrics
from visionkit.sweeps.table import StoredRow, read_table, write_table
from visionkit.tasks.info import TaskInfo
from visionkit.yaml_files import dump_yaml, read_yaml

__all__ = ["SweepFolder"]

SWEEP_FILE = "sweep.yaml"


class SweepFolder:
    """The folder of one sweep or search.

    Args:
        run_folder: The folder itself; use `plan` or `open` to create an instance.
        overrides: The arguments of the sweep that must be the same when it is resumed.

    Attributes:
        rows: The rows of the table by the numbers of their runs.
        search: The settings and space of a search; None for a sweep.
        info: The task, by whose validation metric the best runs are known, whose numbers of the test split are shown.
        say: Receives lines for the user.
    """

    def __init__(self, run_folder: RunFolder, overrides: Sequence[str]) -> None:
        self._folder = run_folder
        self.overrides = list(overrides)
        self.rows: dict[int, RunRow] = {}
        self.search: dict[str, Any] | None = None
        self.info: TaskInfo | None = None
        self.say: Callable[[str], object] = print
        self._resumed = False
        self._stored_rows: dict[int, StoredRow] = {}

    @classmethod
    def plan(cls, run_dir: str | None, overrides: Sequence[str]) -> SweepFolder:
        """Choose the path of a new sweep without writing anything.

        Raises:
            UserError: If ``run_dir`` is neither new nor empty.
        """
        if run_dir is not None:
            path = expand_user(run_dir)
            check_writable(path, where="run_dir")
            if (path / SWEEP_FILE).exists():
                raise _sweep_exists_error(path)
        return cls(RunFolder.plan("sweeps", run_dir), overrides)

    @classmethod
    def open(cls, run_dir: str | None, overrides: Sequence[str]) -> SweepFolder:
        """Open the folder of a sweep to resume it.

        Raises:
            UserError: If it holds no sweep or another one, or its table cannot be read.
        """
        if run_dir is None:
            raise UserError("resume=true goes on with a sweep: say which, such as run_dir=sweeps/a resume=true.")
        folder = cls(RunFolder(expand_user(run_dir)), overrides)
        if not folder.sweep_file.exists():
            raise UserError(
                f"resume: '{folder.path}' holds no sweep to go on with. Leave resume=true out to start one."
            )
        check_writable(folder.path, where="run_dir")
        stored_overrides, folder.search = _read_sweep_file(folder.sweep_file)
        folder._check_overrides(stored_overrides)
        folder._stored_rows = read_table(folder.table_file)
        folder._resumed = True
        return folder

    @property
    def path(self) -> Path:
        """The folder; `start` may change that of a new sweep."""
        return self._folder.path

    @property
    def sweep_file(self) -> Path:
        """The arguments of the sweep, and the settings of a search."""
        return self.path / SWEEP_FILE

    @property
    def table_file(self) -> Path:
        """The table with a row per run."""
        return self.path / "sweep.csv"

    def run_dir(self, number: int) -> str:
        """The folder of a run."""
        return str(self.path / str(number))

    @property
    def log_file(self) -> Path:
        """What the sweep itself has printed, without its table."""
        return self.path / "log.txt"

    def notes(self) -> dict[str, list[int]]:
        """What the runs said of their data, batch and length: each note once, with the numbers of its runs."""
        notes: dict[str, list[int]] = {}
        for number in sorted(self.rows):
            for note in read_notes(RunFolder(Path(self.run_dir(number))).notes_file):
                notes.setdefault(note, []).append(number)
        return notes

    def start(self) -> None:
        """Take the folder for this process until `release`; for a new sweep, create it and write ``sweep.yaml``.

        Raises:
            UserError: If it cannot be created, or another sweep has started in it meanwhile or still runs there.
        """
        if not self._resumed:
            self._folder.reserve()
        self._folder.lock()
        if self._resumed:
            return
        if self.sweep_file.exists():
            self._folder.unlock()
            raise _sweep_exists_error(self.path)
        document = {"overrides": self.overrides, **({} if self.search is None else {"search": self.search})}
        write_atomic(self.sweep_file, dump_yaml(document))

    def release(self) -> None:
        """Leave the folder to others; nothing happens if this process has not taken it."""
        self._folder.unlock()

    def finished(self, job: Job) -> bool:
        """Whether a run is finished. Also reads its row, if an earlier command has left one.

        Raises:
            UserError: If the run in the folder has another configuration than ``job``.
        """
        folder = RunFolder(Path(self.run_dir(job.number)))
        if job.config is not None and folder.config_file.exists() and not self._has_failed(job):
            self._check_config(folder, job.config.plain)
        done = folder.metrics_file.exists()
        if done or job.number in self._stored_rows:
            self.rows[job.number] = self.read_row(job.number, job.overrides)
        return done

    def read_row(self, number: int, overrides: Mapping[str, str], *, status: str = "interrupted") -> RunRow:
        """Read the row of a run of an earlier command, from its folder and the stored table.

        Args:
            number: The number of the run.
            overrides: The swept keys and their values.
            status: The status of a run that is not in the table, because the command was killed.
        """
        stored = self._stored_rows.get(number, StoredRow(status, 0.0, ""))
        row = RunRow(number, overrides, stored.status, seconds=stored.seconds, reason=stored.reason)
        folder = RunFolder(Path(self.run_dir(number)))
        if folder.metrics_file.exists():
            row.status, row.reason = "done", ""
            row.metrics, row.parameters = read_metrics(folder)
            elapsed = folder.metrics_file.stat().st_mtime - folder.config_file.stat().st_mtime
            row.seconds = row.seconds or round(elapsed, 2)
        return row

    def clear_or_resume(self, job: Job) -> float | None:
        """Decide whether a run that was started can be resumed; if not, move its folder out of the way.

        A folder without a checkpoint, which holds nothing that is lost, is removed.

        Returns:
            The seconds that it has been trained for, if it resumes from its last checkpoint; else None.
        """
        from visionkit.training.resume import check_resumable

        folder = RunFolder(Path(self.run_dir(job.number)))
        if not folder.path.exists():
            return None
        if job.config is not None and not self._has_failed(job) and folder.config_file.exists():
            with contextlib.suppress(UserError):
                check_resumable(job.config, folder)
                if folder.data_file.exists():
                    stored = self._stored_rows.get(job.number)
                    epochs = sum(row.get("seconds", 0.0) for row in folder.read_history())
                    return max(stored.seconds if stored else 0.0, epochs)  # a killed command has stored no row
        if folder.last_checkpoint.exists() or folder.best_checkpoint.exists():
            self._set_aside(folder.path)
        else:
            shutil.rmtree(folder.path)
        return None

    def _set_aside(self, path: Path) -> None:
        """Rename the folder of a run that begins anew, and say so."""
        aside = next(
            target
            for number in itertools.count(1)
            if not (target := path.with_name(f"{path.name}_old{number}")).exists()
        )
        path.rename(aside)
        self.say(f"'{path}' begins anew; what it held is in '{aside}'")

    def add_row(self, row: RunRow) -> None:
        """Add or replace the row of a run, and write the whole table, see `withhold_tests`."""
        self.rows[row.number] = row
        rows = [self.rows[number] for number in sorted(self.rows)]
        write_table(self.table_file, rows if self.info is None else withhold_tests(rows, self.info))

    def _has_failed(self, job: Job) -> bool:
        """Whether the run has failed according to the table; it then starts from the beginning."""
        return job.number in self._stored_rows and self._stored_rows[job.number].status == "failed"

    def _check_overrides(self, stored: Sequence[str]) -> None:
        if list(stored) == self.overrides:
            return
        missing = [override for override in stored if override not in self.overrides]
        added = [override for override in self.overrides if override not in stored]
        differences = [
            *(f"'{override}' is not typed" for override in missing),
            *(f"'{override}' is new" for override in added),
        ]
        raise UserError(
            f"resume: '{self.path}' holds another sweep: "
            f"{', '.join(differences) or 'its words stand in another order'}. "
            f"Expected: {' '.join(stored)}. Or give the new sweep a folder of its own: run_dir=..."
        )

    def _check_config(self, folder: RunFolder, plain: Mapping[str, Any]) -> None:
        stored = folder.read_config()
        for key in sorted({*stored, *plain} - {"run_dir", "format", "hardware", "plugins"}):
            old, new = stored.get(key), plain.get(key)
            if key == "dataset" and isinstance(old, Mapping) and isinstance(new, Mapping):
                old, new = ({k: v for k, v in x.items() if k not in ("root", "num_workers")} for x in (old, new))
            if old != new:
                raise UserError(
                    f"resume: the run in '{folder.path}' was made with another '{key}' than the same words give now; a "
                    "file of the configuration has changed since. Give the new sweep a folder of its own: run_dir=..."
                )


def _read_sweep_file(file: Path) -> tuple[list[str], dict[str, Any] | None]:
    """The arguments of a sweep, and the settings of a search.

    Raises:
        UserError: If the file is damaged, or not of a sweep.
    """
    stored = read_yaml(file, where="resume: ")
    overrides, search = (stored.get(key) for key in ("overrides", "search")) if isinstance(stored, dict) else (None, 0)
    if not isinstance(overrides, list) or not (search is None or isinstance(search, dict)):
        raise UserError(
            f"resume: '{file}' is not the file that a sweep wrote. Expected its arguments under 'overrides'. "
            "Put it back as it was, or leave resume=true out and give the sweep another folder: run_dir=..."
        )
    return [str(override) for override in overrides], search


def _sweep_exists_error(path: Path) -> UserError:
    return UserError(
        f"run_dir: '{path}' already holds a sweep. Expected a folder without one. Try another run_dir=..., or "
        "resume=true to go on with that sweep."
    )

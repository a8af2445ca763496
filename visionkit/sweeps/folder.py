"""The folder of a sweep: a run folder per number, ``sweep.csv``, and ``sweep.yaml``, which says what sweep it is."""

from __future__ import annotations

import contextlib
import csv
import io
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from visionkit.errors import UserError
from visionkit.files import write_atomic
from visionkit.runs.folder import RunFolder
from visionkit.sweeps.job import STATUSES, Job, Row, read_metrics

__all__ = ["SweepFolder"]

SWEEP_FILE = "sweep.yaml"
_FIRST, _LAST = ("number", "status"), ("parameters", "seconds", "reason")


@dataclass(frozen=True)
class _StoredRow:
    """What ``sweep.csv`` says of a run, beyond what its folder does."""

    status: str
    seconds: float
    reason: str


class SweepFolder:
    """A place for the runs of one sweep.

    Args:
        place: The folder, see `plan` and `open`.
        words: What was typed, without what may change when the sweep goes on.

    Attributes:
        rows: What is known of each run, by its number.
        search: What a search draws from, and how; None for a sweep.
    """

    def __init__(self, place: RunFolder, words: Sequence[str]) -> None:
        self._place = place
        self.words = list(words)
        self.rows: dict[int, Row] = {}
        self.search: dict[str, Any] | None = None
        self._goes_on = False
        self._before: dict[int, _StoredRow] = {}

    @classmethod
    def plan(cls, run_dir: str | None, words: Sequence[str]) -> SweepFolder:
        """Choose the folder of a new sweep; nothing is written.

        Raises:
            UserError: If ``run_dir`` is neither new nor empty.
        """
        if run_dir is not None:
            path = Path(run_dir).expanduser()
            if (path / SWEEP_FILE).exists():
                raise _taken(path)
        return cls(RunFolder.plan("sweeps", run_dir), words)

    @classmethod
    def open(cls, run_dir: str | None, words: Sequence[str]) -> SweepFolder:
        """The folder of a sweep that goes on, with what is done.

        Raises:
            UserError: If there is none, it is another sweep's, or its table cannot be read.
        """
        if run_dir is None:
            raise UserError("resume=true goes on with a sweep: say which, such as run_dir=sweeps/a resume=true.")
        folder = cls(RunFolder(Path(run_dir).expanduser()), words)
        try:
            stored = yaml.safe_load(folder.sweep_file.read_text(encoding="utf-8"))
            before, folder.search = [str(word) for word in stored["overrides"]], stored.get("search")
        except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError):
            raise UserError(
                f"resume: '{folder.path}' holds no sweep to go on with. Leave resume=true out to start one."
            ) from None
        folder._check_same(before)
        folder._read_table()
        folder._goes_on = True
        return folder

    @property
    def path(self) -> Path:
        """The folder; that of a new sweep is settled by `start`."""
        return self._place.path

    @property
    def sweep_file(self) -> Path:
        """What was typed."""
        return self.path / SWEEP_FILE

    @property
    def table_file(self) -> Path:
        """A row per run."""
        return self.path / "sweep.csv"

    def run_dir(self, number: int) -> str:
        """The folder of one run."""
        return str(self.path / str(number))

    def start(self) -> None:
        """Make the folder, if it is new, and say in it what sweep it is.

        Raises:
            UserError: If it cannot be made, or another sweep has begun in it meanwhile.
        """
        if self._goes_on:
            return
        self._place.reserve()
        document = {"overrides": self.words, **({} if self.search is None else {"search": self.search})}
        try:
            with self.sweep_file.open("x", encoding="utf-8") as file:
                yaml.safe_dump(document, file, sort_keys=False, allow_unicode=True)
        except FileExistsError:
            raise _taken(self.path) from None

    def finished(self, job: Job) -> bool:
        """Whether a run needs not be made again. What an earlier command has left of its row is then there.

        Raises:
            UserError: If the run in the folder was made with another configuration than is asked for now.
        """
        folder = RunFolder(Path(self.run_dir(job.number)))
        if job.config is not None and folder.config_file.exists() and not self._failed(job):
            self._check_same_run(folder, job.config.plain)
        done = folder.metrics_file.exists()
        if done or job.number in self._before:
            self.rows[job.number] = self.read_row(job.number, job.overrides)
        return done

    def read_row(self, number: int, overrides: Mapping[str, str], *, status: str = "interrupted") -> Row:
        """What an earlier command has left of a run.

        Args:
            number: The run.
            overrides: The swept keys and its values.
            status: Of a run that the table does not know, because the command was killed.
        """
        told = self._before.get(number, _StoredRow(status, 0.0, ""))
        row = Row(number, overrides, told.status, seconds=told.seconds, reason=told.reason)
        folder = RunFolder(Path(self.run_dir(number)))
        if folder.metrics_file.exists():
            row.status, row.reason = "done", ""
            row.metrics, row.parameters = read_metrics(folder)
            took = folder.metrics_file.stat().st_mtime - folder.config_file.stat().st_mtime
            row.seconds = row.seconds or round(took, 2)
        return row

    def clear_or_resume(self, job: Job) -> float | None:
        """Look at what is left of a run that was begun.

        Returns:
            The seconds that it has behind it, if it goes on from its last checkpoint; else None: its folder is gone
            and it starts anew.
        """
        from visionkit.training.resume import check_resumable

        folder = RunFolder(Path(self.run_dir(job.number)))
        if not folder.path.exists():
            return None
        if job.config is not None and not self._failed(job) and folder.config_file.exists():
            with contextlib.suppress(UserError):
                check_resumable(job.config, folder)
                if folder.data_file.exists():
                    told = self._before.get(job.number)
                    epochs = sum(row.get("seconds", 0.0) for row in folder.read_history())
                    return max(told.seconds if told else 0.0, epochs)  # a command that was killed has told nothing
        shutil.rmtree(folder.path)
        return None

    def put(self, row: Row) -> None:
        """Take a row in, and write the table as a whole."""
        self.rows[row.number] = row
        rows = [self.rows[number] for number in sorted(self.rows)]
        swept = list(dict.fromkeys(key for row in rows for key in row.overrides))
        metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*_FIRST, *swept, *metrics, *_LAST])
        for row in rows:
            values = [*(row.overrides.get(key) for key in swept), *(_cell(row.metrics.get(name)) for name in metrics)]
            writer.writerow([row.number, row.status, *values, row.parameters, row.seconds, row.reason])
        write_atomic(self.table_file, text.getvalue())

    def _failed(self, job: Job) -> bool:
        """Whether the table says that the run has failed; it is then made from its beginning."""
        return job.number in self._before and self._before[job.number].status == "failed"

    def _read_table(self) -> None:
        if not self.table_file.exists():
            return
        line = 1
        try:
            with self.table_file.open(newline="", encoding="utf-8") as file:
                table = csv.DictReader(file, restkey="more cells than columns", strict=True)
                for cells in table:
                    line = table.line_num
                    self._before[int(cells["number"])] = _stored_row(cells)
        except (UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
            problem = f"there is no column {error}" if isinstance(error, KeyError) else str(error)
            raise UserError(
                f"resume: '{self.table_file}' cannot be read: {problem} (line {line}). Expected the table that the "
                "sweep wrote. Mend it, or delete it: what is done is known from the runs' own folders."
            ) from None

    def _check_same(self, stored: Sequence[str]) -> None:
        if list(stored) == self.words:
            return
        missing = [word for word in stored if word not in self.words]
        more = [word for word in self.words if word not in stored]
        differ = [*(f"'{word}' is not typed" for word in missing), *(f"'{word}' is new" for word in more)]
        raise UserError(
            f"resume: '{self.path}' holds another sweep: {', '.join(differ) or 'its words stand in another order'}. "
            f"Expected: {' '.join(stored)}. Or give the new sweep a folder of its own: run_dir=..."
        )

    def _check_same_run(self, folder: RunFolder, plain: Mapping[str, Any]) -> None:
        before = folder.read_config()
        for key in sorted({*before, *plain} - {"run_dir", "format", "hardware", "plugins"}):
            one, other = before.get(key), plain.get(key)
            if key == "dataset" and isinstance(one, Mapping) and isinstance(other, Mapping):
                one, other = ({k: v for k, v in x.items() if k not in ("root", "num_workers")} for x in (one, other))
            if one != other:
                raise UserError(
                    f"resume: the run in '{folder.path}' was made with another '{key}' than the same words give now; a "
                    "file of the configuration has changed since. Give the new sweep a folder of its own: run_dir=..."
                )


def _taken(path: Path) -> UserError:
    return UserError(
        f"run_dir: '{path}' already holds a sweep. Expected a folder without one. Try another run_dir=..., or "
        "resume=true to go on with that sweep."
    )


def _stored_row(cells: Mapping[str, Any]) -> _StoredRow:
    """A line of the table.

    Raises:
        KeyError: If a column is missing.
        ValueError: If a cell holds what no sweep writes.
    """
    if None in cells.values() or "more cells than columns" in cells:
        raise ValueError("its cells are not as many as the columns")
    told = _StoredRow(cells["status"], float(cells["seconds"]), cells["reason"])
    if told.status not in STATUSES:
        raise ValueError(f"status '{told.status}' is none of {', '.join(STATUSES)}")
    if not 0 <= told.seconds < math.inf:
        raise ValueError(f"seconds '{cells['seconds']}' is no time")
    return told


def _cell(value: float | None) -> Any:
    return f"{value:.8g}" if isinstance(value, float) else value

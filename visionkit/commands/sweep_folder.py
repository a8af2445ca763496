"""The folder of a sweep: a run folder per number, ``sweep.csv``, and ``sweep.yaml``, which says what sweep it is."""

from __future__ import annotations

import csv
import io
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from visionkit.commands.sweep_job import Job, Row, read_metrics
from visionkit.errors import UserError
from visionkit.output import write_atomic
from visionkit.training.run_folder import RUNS, RunFolder

__all__ = ["SweepFolder"]

_FIRST, _LAST = ("number", "status"), ("parameters", "seconds", "reason")


class SweepFolder:
    """A place for the runs of one sweep.

    Args:
        path: The folder.
        words: What was typed, without what may change when the sweep goes on.

    Attributes:
        rows: What is known of each run, by its number.
    """

    def __init__(self, path: Path, words: Sequence[str]) -> None:
        self.path = path
        self.words = list(words)
        self.rows: dict[int, Row] = {}
        self._before: dict[int, dict[str, str]] = {}

    @classmethod
    def plan(cls, run_dir: str | None, words: Sequence[str]) -> SweepFolder:
        """Choose the folder of a new sweep; nothing is written.

        Raises:
            UserError: If ``run_dir`` is neither new nor empty.
        """
        if run_dir is None:
            return cls(RUNS / "sweeps" / time.strftime("%Y-%m-%d_%H-%M-%S"), words)
        path = Path(run_dir).expanduser()
        if (path / "sweep.yaml").exists():
            raise UserError(
                f"run_dir: '{path}' already holds a sweep. Expected a folder without one. Try another run_dir=..., or "
                "resume=true to go on with that sweep."
            )
        RunFolder.check_free(run_dir)
        return cls(path, words)

    @classmethod
    def open(cls, run_dir: str | None, words: Sequence[str]) -> SweepFolder:
        """The folder of a sweep that goes on, with what is done.

        Raises:
            UserError: If there is none, or it is another sweep's.
        """
        if run_dir is None:
            raise UserError("resume=true goes on with a sweep: say which, such as run_dir=sweeps/a resume=true.")
        folder = cls(Path(run_dir).expanduser(), words)
        try:
            stored = yaml.safe_load(folder.sweep_file.read_text(encoding="utf-8"))["overrides"]
        except (OSError, yaml.YAMLError, TypeError, KeyError):
            raise UserError(
                f"resume: '{folder.path}' holds no sweep to go on with. Leave resume=true out to start one."
            ) from None
        folder._check_same([str(word) for word in stored])
        folder._read_table()
        return folder

    @property
    def sweep_file(self) -> Path:
        """What was typed."""
        return self.path / "sweep.yaml"

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
            UserError: If it cannot be made.
        """
        if self.sweep_file.exists():
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"run_dir: the folder '{self.path}' cannot be made: {error.strerror}.") from None
        write_atomic(self.sweep_file, yaml.safe_dump({"overrides": self.words}, allow_unicode=True))

    def finished(self, job: Job) -> bool:
        """Whether a run needs not be made again. What an earlier command has left of its row is then there.

        Raises:
            UserError: If the run in the folder was made with another configuration than is asked for now.
        """
        folder = RunFolder(Path(self.run_dir(job.number)))
        failed = self._before.get(job.number, {}).get("status") == "failed"
        if job.config is not None and folder.config_file.exists() and not failed:
            self._check_same_run(folder, job.config.plain)
        if not folder.metrics_file.exists():
            if job.number in self._before:
                self.rows[job.number] = self.read_row(job.number, job.overrides)
            return False
        self.rows[job.number] = self.read_row(job.number, job.overrides)
        return True

    def read_row(self, number: int, overrides: Mapping[str, str]) -> Row:
        """What an earlier command has left of a run; one that was killed counts as interrupted."""
        before = self._before.get(number, {})
        row = Row(number, overrides, before.get("status", "interrupted"), reason=before.get("reason", ""))
        row.seconds = float(before.get("seconds", 0))
        folder = RunFolder(Path(self.run_dir(number)))
        if folder.metrics_file.exists():
            row.status, row.reason = "done", ""
            row.metrics, row.parameters = read_metrics(folder)
            took = folder.metrics_file.stat().st_mtime - folder.config_file.stat().st_mtime
            row.seconds = row.seconds or round(took, 2)
        return row

    def make_room(self, job: Job) -> bool:
        """Look at what is left of a run that was begun.

        Returns:
            Whether it goes on from its last checkpoint; else its folder is gone and it starts anew.
        """
        from visionkit.commands.preparation import check_resumable

        folder = RunFolder(Path(self.run_dir(job.number)))
        if not folder.path.exists():
            return False
        failed = self._before.get(job.number, {}).get("status") == "failed"
        if job.config is not None and not failed and folder.config_file.exists() and folder.data_file.exists():
            try:
                check_resumable(job.config, folder)
            except UserError:
                pass
            else:
                return True
        shutil.rmtree(folder.path)
        return False

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

    def _read_table(self) -> None:
        if self.table_file.exists():
            with self.table_file.open(newline="", encoding="utf-8") as file:
                self._before = {int(cells["number"]): cells for cells in csv.DictReader(file)}

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


def _cell(value: float | None) -> Any:
    return f"{value:.8g}" if isinstance(value, float) else value

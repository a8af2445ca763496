"""``sweep=optuna``: training runs whose values are drawn, each from what became of those before."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.console import Printer
from visionkit.errors import ExitCode, UserError
from visionkit.runs.folder import RunFolder
from visionkit.sweeps.folder import SweepFolder
from visionkit.sweeps.grid import SweepOptions, check_devices, status_line, stdout_for_json
from visionkit.sweeps.job import PRUNED, Job, Pruned, Row, run_job
from visionkit.sweeps.signals import Signals
from visionkit.sweeps.space import Choices, Numbers, SearchSettings, check_same
from visionkit.sweeps.summary import SweepSummary, best_run, shorten

if TYPE_CHECKING:
    from visionkit.data.shared_cache import SharedCache
    from visionkit.runs.config import RunConfig
    from visionkit.sweeps.study import Study, Trial
    from visionkit.tasks.info import TaskInfo

__all__ = ["search"]

MakeConfig = Callable[[Mapping[str, str]], "RunConfig"]
KeepBest = Callable[[Mapping[str, str], Path], str]


def search(
    settings: SearchSettings,
    make_config: MakeConfig,
    keep_best: KeepBest,
    folder: SweepFolder,
    options: SweepOptions,
) -> int:
    """Make runs until there are as many as asked for, and keep the best one's settings as an experiment.

    Args:
        settings: What is drawn, and how.
        make_config: A run from values as typed; `UserError` where they do not go together.
        keep_best: Writes the experiment of the best values into a folder; the command that repeats them.
        folder: Where the runs and the record (``sweep.db``) go.
        options: How.

    Returns:
        0; 2 if a run failed; 130 after Ctrl-C.

    Raises:
        UserError: If Optuna is missing, no value of some key can be used, the pruner sees nothing of the runs, or
            another search is to go on, before anything is written.
    """
    if find_spec("optuna") is None:
        raise UserError(
            'sweep=optuna needs a package that is not installed. Try: pip install "optuna>=4", or list the values '
            "in a sweep: python -m visionkit -m recipe.lr=0.01,0.1"
        )
    first = _probe(settings, make_config)
    info, printer = first.task, Printer(to_stderr=options.as_json)
    drawn = settings.plain | {"metric": f"{info.monitor} ({info.mode})"}
    if options.resume:
        check_same(folder.search, drawn, where=str(folder.path))
    folder.search = drawn
    (checked,) = check_devices([Job(0, {}, first)])
    _check_pruner(checked, settings)

    from visionkit.sweeps.study import Study

    folder.start()
    study = Study(folder.path / "sweep.db", settings, info)
    for number, overrides, status in study.ended():
        folder.rows[number] = _read_row(folder, number, overrides, status, info)
    with stdout_for_json(options.as_json), Signals() as signals:
        interrupted = _Search(settings, make_config, folder, info, printer, signals, study).go_on()
    rows = [folder.rows[number] for number in sorted(folder.rows)]
    best = best_run(rows, info)
    more = [keep_best(best.overrides, folder.path)] if best is not None else []
    SweepSummary(folder, info, options.command, options.as_json).print(printer, again=interrupted, more=more)
    if interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.USER_ERROR if any(row.status == "failed" for row in rows) else ExitCode.DONE


@dataclass(frozen=True)
class _Search:
    """What the trials of a search share."""

    settings: SearchSettings
    make_config: MakeConfig
    folder: SweepFolder
    info: TaskInfo
    printer: Printer
    signals: Signals
    study: Study

    def go_on(self) -> bool:
        """Make the trials that are left; whether Ctrl-C ended them."""
        from visionkit.data.shared_cache import SharedCache

        shared = SharedCache()
        for number in range(self.study.count, self.settings.trials):
            if self.signals.count:
                return True
            trial = self.study.ask()
            values = " ".join(f"{key}={shorten(text)}" for key, text in trial.overrides.items())
            self.printer.print(f"run {number}  ({number + 1} of {self.settings.trials})  {values}")
            row = self._make(self._job(trial), trial, shared)
            if row.status != "interrupted":
                self.study.tell(trial, row.status, _best(self.folder, number, self.info))
            self.folder.put(row)
            self.printer.print(f"  {status_line(row, self.info)}")
            if row.status == "interrupted":
                return True
        return False

    def _job(self, trial: Trial) -> Job:
        """The run of a trial; one that cannot be made has its problem."""
        job = Job(trial.number, trial.overrides, None)
        try:
            (job,) = check_devices([replace(job, config=self.make_config(trial.overrides))])
            _check_pruner(job, self.settings)
        except UserError as error:
            return replace(job, config=None, problem=str(error))
        return job.at(self.folder.run_dir(trial.number))

    def _make(self, job: Job, trial: Trial, shared: SharedCache) -> Row:
        """The row of a run, which is made, goes on, or has ended just before its command was killed."""
        if self.folder.finished(job):
            return self.folder.rows[job.number]
        behind = self.folder.clear_or_resume(job)
        callbacks = []
        if _processes(job) == 1:
            from visionkit.training.callbacks.watch import ScoreCallback

            callbacks.append(ScoreCallback(self.info.monitor, on_score=trial.on_score, stop=_stop))
        enough = False
        for epoch, score in _history(self.folder, job.number, self.info):
            enough = trial.on_score(epoch, score)
        if enough:
            row = Row(job.number, job.overrides, "pruned", seconds=behind or 0.0, reason=PRUNED)
        else:
            row = run_job(
                job,
                printer=Printer(console=self.printer.console, brief=True),
                signals=self.signals,
                shared=shared,
                behind=behind,
                callbacks=callbacks,
            )
        if row.status == "pruned":
            row.metrics = {self.info.monitor: _best(self.folder, job.number, self.info)}
        return row


def _stop() -> None:
    raise Pruned


def _processes(job: Job) -> int:
    """How many each run takes."""
    from visionkit.distributed.processes import Processes

    return 1 if job.config is None else Processes.plan(job.config.hardware).count


def _check_pruner(job: Job, settings: SearchSettings) -> None:
    count = _processes(job)
    if count > 1 and settings.pruner != "none":
        raise UserError(
            f"sweep.pruner: found {settings.pruner}, but each run takes {count} processes, and the pruner sees one "
            "alone. Try: sweep.pruner=none, or hardware.devices=1"
        )


def _probe(settings: SearchSettings, make_config: MakeConfig) -> RunConfig:
    """A run that can be made; every key must have a value with which one can.

    Raises:
        UserError: Of the first key that has none.
    """
    config = make_config({})
    picked: dict[str, str] = {}
    for key, values in settings.space.items():
        problems = []
        for text in values.corners:
            try:
                config = make_config(picked | {key: text})
            except UserError as error:
                problems.append(error)
            else:
                picked[key] = text
                break
        else:
            hint = _whole(key, values, picked, make_config)
            raise UserError(f"sweep.space: no value of '{key}' can be used: {problems[0]}{hint}")
    return config


def _whole(key: str, values: Choices | Numbers, picked: Mapping[str, str], make_config: MakeConfig) -> str:
    """How whole numbers are drawn, where the ends are whole and only such can be used."""
    if isinstance(values, Choices) or not (float(values.low).is_integer() and float(values.high).is_integer()):
        return ""
    low, high = int(values.low), int(values.high)
    with contextlib.suppress(UserError):
        make_config({**picked, key: str(low)})
        return f" To draw whole numbers: 'sweep.space.{key}={{low: {low}, high: {high}}}'"
    return ""


def _read_row(folder: SweepFolder, number: int, overrides: Mapping[str, str], status: str, info: TaskInfo) -> Row:
    """The row of a trial that an earlier command has made."""
    row = folder.read_row(number, overrides, status=status)
    if status == "pruned":
        row.metrics = {info.monitor: _best(folder, number, info)}
    return row


def _history(folder: SweepFolder, number: int, info: TaskInfo) -> list[tuple[int, float]]:
    """The score of each epoch that a run has behind it."""
    rows = RunFolder(Path(folder.run_dir(number))).read_history()
    return [(int(row["epoch"]), row[info.monitor]) for row in rows if info.monitor in row]


def _best(folder: SweepFolder, number: int, info: TaskInfo) -> float:
    """The best score of a run, with the digits of its ``metrics.csv``: the same whether it was cut or not."""
    scores = [score for _, score in _history(folder, number, info) if not math.isnan(score)]
    return (max if info.mode == "max" else min)(scores, default=math.nan)

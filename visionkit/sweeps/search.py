"""``sweep=optuna``: hyperparameter search, in which each run's values depend on the scores of earlier runs."""

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
from visionkit.sweeps.groups import best_run
from visionkit.sweeps.job import PRUNED_REASON, Job, Pruned, RunRow, run_job
from visionkit.sweeps.pictures import draw_sweep
from visionkit.sweeps.signals import Signals
from visionkit.sweeps.space import Choices, NumberRange, SearchSettings, check_same
from visionkit.sweeps.summary import SweepSummary, shorten

if TYPE_CHECKING:
    from visionkit.data.shared_cache import SharedCache
    from visionkit.runs.config import RunConfig
    from visionkit.sweeps.study import Study, Trial
    from visionkit.tasks.info import TaskInfo

__all__ = ["search"]

MakeConfig = Callable[[Mapping[str, str]], "RunConfig"]
WriteExperiment = Callable[[Mapping[str, str], Path], str]


def search(
    settings: SearchSettings,
    make_config: MakeConfig,
    write_experiment: WriteExperiment,
    folder: SweepFolder,
    options: SweepOptions,
) -> int:
    """Run trials until there are as many as requested, and write the best one as an experiment.

    Args:
        settings: The search space and the sampler, pruner and number of trials.
        make_config: Creates the configuration of a run from values as typed; raises `UserError` if they do not fit.
        write_experiment: Writes the values of the best run into a folder; returns the command that repeats the run.
        folder: The folder for the runs and the database ``sweep.db``.
        options: Options of the sweep; a search is never parallel.

    Returns:
        0; 2 if a run failed; 130 after Ctrl-C, 143 after SIGTERM.

    Raises:
        UserError: If Optuna is missing, all values of a key are invalid, the pruner cannot observe the runs, or the
            folder holds another search; before anything is written.
    """
    if find_spec("optuna") is None:
        raise UserError(
            'sweep=optuna needs a package that is not installed. Try: pip install "optuna>=4", or list the values '
            "in a sweep: python -m visionkit -m recipe.lr=0.01,0.1"
        )
    config = _first_valid_config(settings, make_config)
    info, printer = config.task, options.printer()
    current_settings = settings.plain | {"metric": f"{info.monitor} ({info.mode})"}
    if options.resume:
        check_same(folder.search, current_settings, where=str(folder.path))
    folder.search, folder.info, folder.say = current_settings, info, printer.announce
    (checked,) = check_devices([Job(0, {}, config)])
    _check_pruner(checked, settings)

    from visionkit.sweeps.study import Study

    folder.start()
    printer.log_to(folder.log_file)
    try:
        study = Study(folder.path / "sweep.db", settings, info)
        for number, overrides, status in study.finished_trials():
            folder.rows[number] = _read_row(folder, number, overrides, status, info)
        with stdout_for_json(options.as_json), Signals() as signals:
            interrupted = _Search(settings, make_config, folder, info, printer, signals, study).run()
    finally:
        folder.release()
    rows = [folder.rows[number] for number in sorted(folder.rows)]
    best = best_run(rows, info)
    extra_commands = [write_experiment(best.overrides, folder.path)] if best is not None else []
    draw_sweep(folder, info)
    SweepSummary(folder, info, options.command, options.as_json).print(
        printer, resumable=interrupted, extra_commands=extra_commands
    )
    if interrupted:
        return signals.code or ExitCode.INTERRUPTED
    return ExitCode.USER_ERROR if any(row.status == "failed" for row in rows) else ExitCode.DONE


@dataclass(frozen=True)
class _Search:
    """Runs the trials of a search."""

    settings: SearchSettings
    make_config: MakeConfig
    folder: SweepFolder
    info: TaskInfo
    printer: Printer
    signals: Signals
    study: Study

    def run(self) -> bool:
        """Run the remaining trials; whether Ctrl-C interrupted them."""
        from visionkit.data.shared_cache import SharedCache

        shared = SharedCache()
        for number in range(self.study.count, self.settings.trials):
            if self.signals.count:
                return True
            trial = self.study.ask()
            values = " ".join(f"{key}={shorten(text)}" for key, text in trial.overrides.items())
            self.printer.print(f"run {number}  ({number + 1} of {self.settings.trials})  {values}")
            row = self._run_trial(self._create_job(trial), trial, shared)
            if row.status != "interrupted":
                self.study.tell(trial, row.status, _best_score(self.folder, number, self.info))
            self.folder.add_row(row)
            self.printer.print(f"  {status_line(row, self.info)}")
            if row.status == "interrupted":
                return True
        return False

    def _create_job(self, trial: Trial) -> Job:
        """The job of a trial; if its values are invalid, with the problem instead of a configuration."""
        job = Job(trial.number, trial.overrides, None)
        try:
            (job,) = check_devices([replace(job, config=self.make_config(trial.overrides))])
            _check_pruner(job, self.settings)
        except UserError as error:
            return replace(job, config=None, problem=str(error))
        return job.with_run_dir(self.folder.run_dir(trial.number))

    def _run_trial(self, job: Job, trial: Trial, shared: SharedCache) -> RunRow:
        """Run or resume a trial; only read its row if it was finished just before the command was killed."""
        if self.folder.finished(job):
            return self.folder.rows[job.number]
        elapsed = self.folder.clear_or_resume(job)
        callbacks = []
        if _num_processes(job) == 1:
            from visionkit.training.callbacks.score import ScoreCallback

            callbacks.append(ScoreCallback(self.info.monitor, on_score=trial.on_score, stop=_raise_pruned))
        should_prune = False
        for epoch, score in _score_history(self.folder, job.number, self.info):
            should_prune = trial.on_score(epoch, score)
        if should_prune:
            row = RunRow(job.number, job.overrides, "pruned", seconds=elapsed or 0.0, reason=PRUNED_REASON)
        else:
            row = run_job(
                job,
                printer=Printer(console=self.printer.console, brief=True),
                signals=self.signals,
                shared=shared,
                elapsed=elapsed,
                callbacks=callbacks,
            )
        if row.status == "pruned":
            row.metrics = {self.info.monitor: _best_score(self.folder, job.number, self.info)}
        return row


def _raise_pruned() -> None:
    raise Pruned


def _num_processes(job: Job) -> int:
    """Number of processes of a run."""
    from visionkit.distributed.processes import Processes

    return 1 if job.config is None else Processes.plan(job.config.hardware).count


def _check_pruner(job: Job, settings: SearchSettings) -> None:
    num_processes = _num_processes(job)
    if num_processes > 1 and settings.pruner != "none":
        raise UserError(
            f"sweep.pruner: found {settings.pruner}, but each run takes {num_processes} processes, and the pruner sees "
            "one alone. Try: sweep.pruner=none, or hardware.devices=1"
        )


def _first_valid_config(settings: SearchSettings, make_config: MakeConfig) -> RunConfig:
    """A valid configuration, with the first valid value of each key of the space.

    Raises:
        UserError: For the first key without a valid value, or with a bound or choice that is wrong whatever the others
            are.
    """
    config = make_config({})
    chosen: dict[str, str] = {}
    for key, values in settings.space.items():
        problems: dict[str, UserError] = {}
        valid: dict[str, RunConfig] = {}
        for text in values.probe_values:
            try:
                valid[text] = make_config(chosen | {key: text})
            except UserError as error:
                problems[text] = error
        if not valid:
            hint = _integer_hint(key, values, chosen, make_config)
            raise UserError(f"sweep.space: no value of '{key}' can be used: {next(iter(problems.values()))}{hint}")
        for text in problems:
            _check_alone(key, text, make_config)
        chosen[key] = next(iter(valid))
        config = valid[chosen[key]]
    return config


def _check_alone(key: str, text: str, make_config: MakeConfig) -> None:
    """Check that a value which does not go with those chosen for other keys is good in itself.

    Raises:
        UserError: If it is not.
    """
    try:
        make_config({key: text})
    except UserError as error:
        raise UserError(
            f"sweep.space: '{key}' may become {text}, which cannot be used: {error} Narrow what is drawn for it."
        ) from None


def _integer_hint(key: str, values: Choices | NumberRange, chosen: Mapping[str, str], make_config: MakeConfig) -> str:
    """How to sample integers, if the bounds are integers and only such are valid; else an empty string."""
    if isinstance(values, Choices) or not (float(values.low).is_integer() and float(values.high).is_integer()):
        return ""
    low, high = int(values.low), int(values.high)
    with contextlib.suppress(UserError):
        make_config({**chosen, key: str(low)})
        return f" To draw whole numbers: 'sweep.space.{key}={{low: {low}, high: {high}}}'"
    return ""


def _read_row(folder: SweepFolder, number: int, overrides: Mapping[str, str], status: str, info: TaskInfo) -> RunRow:
    """The row of a trial of an earlier command."""
    row = folder.read_row(number, overrides, status=status)
    if status == "pruned":
        row.metrics = {info.monitor: _best_score(folder, number, info)}
    return row


def _score_history(folder: SweepFolder, number: int, info: TaskInfo) -> list[tuple[int, float]]:
    """Epoch and score of each finished epoch of a run."""
    rows = RunFolder(Path(folder.run_dir(number))).read_history()
    return [(int(row["epoch"]), row[info.monitor]) for row in rows if info.monitor in row]


def _best_score(folder: SweepFolder, number: int, info: TaskInfo) -> float:
    """The best score in ``metrics.csv`` of a run, NaN if there is none; the same for interrupted and resumed runs."""
    scores = [score for _, score in _score_history(folder, number, info) if not math.isnan(score)]
    return (max if info.mode == "max" else min)(scores, default=math.nan)

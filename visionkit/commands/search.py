"""``sweep=optuna``: training runs whose values Optuna draws. The only file that knows Optuna."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.commands.search_space import Choices, SearchSettings
from visionkit.commands.sweep import Answer, SweepOptions, check_devices, documents_only, result
from visionkit.commands.sweep_folder import SweepFolder
from visionkit.commands.sweep_job import Job, Pruned, Row, run_job
from visionkit.commands.sweep_table import best_run, brief
from visionkit.commands.train import INTERRUPTED
from visionkit.errors import UserError
from visionkit.training.console import Printer

if TYPE_CHECKING:
    from visionkit.commands.run_config import RunConfig
    from visionkit.tasks.info import TaskInfo

__all__ = ["search"]

MakeConfig = Callable[[Mapping[str, str], str], "RunConfig"]
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
        make_config: A run from values as typed and its folder; `UserError` where they do not go together.
        keep_best: Writes the experiment of the best values into a folder; the command that repeats them.
        folder: Where the runs and the record (``sweep.db``) go.
        options: How.

    Returns:
        0; 2 if a run failed; 130 after Ctrl-C.

    Raises:
        UserError: If Optuna is missing, or no value of some key can be used, before anything is written.
    """
    if find_spec("optuna") is None:
        raise UserError(
            'sweep=optuna needs a package that is not installed. Try: pip install "optuna>=4", or list the values '
            "in a sweep: python -m visionkit -m recipe.lr=0.01,0.1"
        )
    first = _probe(settings, make_config)
    check_devices([Job(0, {}, first)])
    optuna = _import_optuna()
    folder.start()
    info, printer = first.task, Printer(to_stderr=options.as_json)
    study = _open_study(optuna, folder, info)
    _recall(optuna, study, folder, info)
    with documents_only(options.as_json):
        interrupted = _trials(optuna, study, settings, make_config, folder, info, printer)
    rows = [folder.rows[number] for number in sorted(folder.rows)]
    best = best_run(rows, info)
    more = [keep_best(best.overrides, folder.path)] if best is not None else []
    Answer(folder, info, options).give(printer, again=interrupted, more=more)
    if interrupted:
        return INTERRUPTED
    return 2 if any(row.status == "failed" for row in rows) else 0


def _trials(
    optuna: Any, study: Any, settings: SearchSettings, make_config: MakeConfig, folder: SweepFolder, info: TaskInfo,
    printer: Printer,
) -> bool:  # fmt: skip
    """Make the runs that are still to be made; whether Ctrl-C ended them."""
    from visionkit.data.shared import SharedData

    shared = SharedData()
    distributions = {key: _distribution(optuna, value) for key, value in settings.space.items()}
    for number in range(len(study.trials), settings.trials):
        # A generator for each trial: a search that was interrupted draws what it would have drawn.
        study.sampler = _sampler(optuna, settings, number)
        study.pruner = _pruner(optuna, settings)
        trial = study.ask(distributions)
        overrides = {key: value if isinstance(value, str) else repr(value) for key, value in trial.params.items()}
        values = " ".join(f"{key}={brief(text)}" for key, text in overrides.items())
        printer.say(f"run {number}  ({number + 1} of {settings.trials})  {values}")
        try:
            job = Job(number, overrides, make_config(overrides, folder.run_dir(number)))
        except UserError as error:
            job = Job(number, overrides, None, str(error))
        row = _try(job, trial, info, folder, printer, shared)
        state = {"done": "COMPLETE", "pruned": "PRUNED"}.get(row.status, "FAIL")
        score = row.metrics.get(info.monitor, math.nan)
        if state == "COMPLETE" and math.isnan(score):
            state = "FAIL"
        study.tell(trial, score if state == "COMPLETE" else None, state=optuna.trial.TrialState[state])
        folder.put(row)
        printer.say(f"  {result(row, info)}")
        if row.status == "interrupted":
            return True
    return False


def _try(job: Job, trial: Any, info: TaskInfo, folder: SweepFolder, printer: Printer, shared: Any) -> Row:
    """One run, under the eyes of the pruner where it is made in this process."""
    scores: list[float] = []

    def look(epoch: int, score: float) -> bool:
        if math.isnan(score):
            return False
        scores.append(score)
        trial.report(score, epoch)
        return bool(trial.should_prune())

    def stop() -> None:
        raise Pruned

    callbacks = []
    if job.config is not None and job.config.hardware.devices == 1 and job.config.hardware.num_nodes == 1:
        from visionkit.training.callbacks.watch import Watch

        callbacks.append(Watch(info.monitor, look=look, stop=stop))
    folder.make_room(job)
    row = run_job(job, printer=Printer(console=printer.console, brief=True), shared=shared, callbacks=callbacks)
    if row.status == "pruned":
        row.metrics = {info.monitor: max(scores) if info.mode == "max" else min(scores)}
    return row


def _probe(settings: SearchSettings, make_config: MakeConfig) -> RunConfig:
    """A run that can be made; every key must have a value with which one can.

    Raises:
        UserError: Of the first key that has none.
    """
    config = make_config({}, "probe")
    picked: dict[str, str] = {}
    for key, values in settings.space.items():
        problems = []
        for text in values.corners:
            try:
                config = make_config(picked | {key: text}, "probe")
            except UserError as error:
                problems.append(error)
            else:
                picked[key] = text
                break
        else:
            raise UserError(f"sweep.space: no value of '{key}' can be used: {problems[0]}")
    return config


def _import_optuna() -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _open_study(optuna: Any, folder: SweepFolder, info: TaskInfo) -> Any:
    from sqlalchemy.engine import URL

    file = (folder.path / "sweep.db").absolute()
    storage = optuna.storages.RDBStorage(URL.create("sqlite", database=str(file)).render_as_string())
    direction = "maximize" if info.mode == "max" else "minimize"
    return optuna.create_study(storage=storage, study_name="sweep", direction=direction, load_if_exists=True)


def _recall(optuna: Any, study: Any, folder: SweepFolder, info: TaskInfo) -> None:
    """Rows of the trials that earlier commands have made; one that was under way when its process died has failed."""
    for trial in study.trials:
        overrides = {key: value if isinstance(value, str) else repr(value) for key, value in trial.params.items()}
        row = folder.read_row(trial.number, overrides)
        if not trial.state.is_finished():
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            row = Row(trial.number, overrides, "failed", reason="its process was killed")
        elif trial.state.name == "PRUNED" and trial.intermediate_values:
            scores = trial.intermediate_values.values()
            row.metrics = {info.monitor: max(scores) if info.mode == "max" else min(scores)}
        folder.put(row)


def _distribution(optuna: Any, values: Any) -> Any:
    if isinstance(values, Choices):
        return optuna.distributions.CategoricalDistribution(values.texts)
    kind = optuna.distributions.IntDistribution if values.whole else optuna.distributions.FloatDistribution
    step = {"step": values.step} if values.step is not None else {}
    return kind(values.low, values.high, log=values.log, **step)


def _sampler(optuna: Any, settings: SearchSettings, number: int) -> Any:
    from numpy.random import SeedSequence

    kind = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}[settings.sampler]
    return kind(seed=int(SeedSequence([settings.seed, number]).generate_state(1)[0]))


def _pruner(optuna: Any, settings: SearchSettings) -> Any:
    if settings.pruner == "none":
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=settings.prune_after)

"""Wraps Optuna for a search: samples values, prunes, and stores finished trials. The only file that imports Optuna.

Values are sampled in memory, with a seed for each trial, and the database gets a trial when it has finished. So a trial
that was interrupted leaves no trace in the database and is sampled again with the same values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from visionkit.errors import UserError
from visionkit.sweeps.space import Choices, SearchSettings
from visionkit.tasks.info import TaskInfo

__all__ = ["Study", "Trial"]

_STATES = {"done": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}


class Trial:
    """One trial of a search.

    Args:
        number: Its index in the search.
        overrides: The keys and their sampled values, as typed.
        optuna_trial: The trial of Optuna.
    """

    def __init__(self, number: int, overrides: Mapping[str, str], optuna_trial: Any) -> None:
        self.number, self.overrides, self.optuna_trial = number, overrides, optuna_trial
        self._reported: set[int] = set()

    def on_score(self, epoch: int, score: float) -> bool:
        """Report the score of an epoch, once, and return whether to prune the run.

        Args:
            epoch: The epoch, counted from 1.
            score: The validation metric; NaN is ignored.
        """
        if math.isnan(score):
            return False
        if epoch not in self._reported:
            digits = f"{score:.8g}"  # those of metrics.csv, which a resumed run reads
            self.optuna_trial.report(float(digits), epoch)
            self._reported.add(epoch)
        return bool(self.optuna_trial.should_prune())


class Study:
    """The trials of a search, including those of earlier commands.

    Args:
        file: The SQLite database.
        settings: The settings and the space of the search.
        info: The task, whose validation metric is optimised.

    Raises:
        UserError: If the file is not the database of a search.
    """

    def __init__(self, file: Path, settings: SearchSettings, info: TaskInfo) -> None:
        import optuna
        from sqlalchemy.engine import URL
        from sqlalchemy.exc import SQLAlchemyError

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna, self._settings = optuna, settings
        self._distributions = {key: _distribution(optuna, settings.space[key]) for key in sorted(settings.space)}
        direction: Any = "maximize" if info.mode == "max" else "minimize"
        url = URL.create("sqlite", database=str(file.absolute())).render_as_string()
        self._study = optuna.create_study(direction=direction, pruner=_pruner(optuna, settings))
        try:
            self._stored_study = optuna.create_study(
                storage=optuna.storages.RDBStorage(url), study_name="sweep", direction=direction, load_if_exists=True
            )
            self._study.add_trials(trial for trial in self._stored_study.trials if trial.state.is_finished())
        except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError, ValueError) as error:
            reason = str(error.__cause__ or error).split("\n")[0]
            raise UserError(
                f"sweep.db: '{file}' cannot be read: {reason}. Expected the record that the search wrote. Delete it: "
                "the same trials are drawn again, and runs that have ended are not repeated."
            ) from None

    @property
    def count(self) -> int:
        """Number of finished trials."""
        return len(self._study.trials)

    def finished_trials(self) -> Iterator[tuple[int, Mapping[str, str], str]]:
        """Number, overrides and status of each finished trial."""
        status_of_state = {state: status for status, state in _STATES.items()}
        for trial in self._study.trials:
            yield trial.number, self._to_overrides(trial.params), status_of_state[trial.state.name]

    def ask(self) -> Trial:
        """Sample the values of the next trial."""
        self._study.sampler = _sampler(self._optuna, self._settings, self.count)
        optuna_trial = self._study.ask(self._distributions)
        return Trial(optuna_trial.number, self._to_overrides(optuna_trial.params), optuna_trial)

    def tell(self, trial: Trial, status: str, score: float) -> None:
        """Store a finished trial.

        Args:
            trial: The trial that `ask` returned last.
            status: ``done``, ``pruned`` or ``failed``.
            score: The best validation metric; a trial that is done with NaN is stored as failed.
        """
        state = "FAIL" if status == "done" and math.isnan(score) else _STATES[status]
        value = score if state == "COMPLETE" else None
        self._study.tell(trial.optuna_trial, value, state=self._optuna.trial.TrialState[state])
        self._stored_study.add_trial(self._study.trials[trial.number])

    def _to_overrides(self, params: Mapping[str, Any]) -> dict[str, str]:
        """Sampled values as they would be typed, in the order of the space."""
        return {key: params[key] if isinstance(params[key], str) else repr(params[key]) for key in self._settings.space}


def _distribution(optuna: Any, values: Any) -> Any:
    if isinstance(values, Choices):
        return optuna.distributions.CategoricalDistribution(values.texts)
    distribution = optuna.distributions.IntDistribution if values.is_integer else optuna.distributions.FloatDistribution
    step = {"step": values.step} if values.step is not None else {}
    return distribution(values.low, values.high, log=values.log, **step)


def _sampler(optuna: Any, settings: SearchSettings, number: int) -> Any:
    from numpy.random import SeedSequence

    sampler = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}[settings.sampler]
    return sampler(seed=int(SeedSequence([settings.seed, number]).generate_state(1)[0]))


def _pruner(optuna: Any, settings: SearchSettings) -> Any:
    if settings.pruner == "none":
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=settings.prune_after)

"""Optuna's part of a search: it draws values, hears scores, and keeps what has ended. The only file that knows Optuna.

Values are drawn in memory, each trial's by a generator of its own, and the database gets a trial when it has ended. So
one that was cut, by Ctrl-C or a dead process, leaves nothing there and is drawn again with the same values.
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
    """One draw.

    Args:
        number: Its place in the search.
        overrides: The keys and the values drawn for them, as typed.
        drawn: Optuna's own.
    """

    def __init__(self, number: int, overrides: Mapping[str, str], drawn: Any) -> None:
        self.number, self.overrides, self.drawn = number, overrides, drawn
        self._heard: set[int] = set()

    def on_score(self, epoch: int, score: float) -> bool:
        """Hear the score of an epoch, once; whether the run is poor enough to end.

        Args:
            epoch: Counted from 1.
            score: The validation metric; NaN says nothing.
        """
        if math.isnan(score):
            return False
        if epoch not in self._heard:
            self.drawn.report(float(f"{score:.8g}"), epoch)  # as metrics.csv has it, whence a run that goes on reads it
            self._heard.add(epoch)
        return bool(self.drawn.should_prune())


class Study:
    """The trials of a search, those of earlier commands included.

    Args:
        file: The database.
        settings: What is drawn, and how.
        info: The task, whose metric decides.

    Raises:
        UserError: If the file is no database of a search.
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
            self._record = optuna.create_study(
                storage=optuna.storages.RDBStorage(url), study_name="sweep", direction=direction, load_if_exists=True
            )
            self._study.add_trials(trial for trial in self._record.trials if trial.state.is_finished())
        except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError, ValueError) as error:
            reason = str(error.__cause__ or error).split("\n")[0]
            raise UserError(
                f"sweep.db: '{file}' cannot be read: {reason}. Expected the record that the search wrote. Delete it: "
                "the same trials are drawn again, and runs that have ended are not repeated."
            ) from None

    @property
    def count(self) -> int:
        """How many trials have ended."""
        return len(self._study.trials)

    def ended(self) -> Iterator[tuple[int, Mapping[str, str], str]]:
        """Number, values and status of the trials that have."""
        words = {state: status for status, state in _STATES.items()}
        for trial in self._study.trials:
            yield trial.number, self._typed(trial.params), words[trial.state.name]

    def ask(self) -> Trial:
        """Draw the next trial."""
        self._study.sampler = _sampler(self._optuna, self._settings, self.count)
        drawn = self._study.ask(self._distributions)
        return Trial(drawn.number, self._typed(drawn.params), drawn)

    def tell(self, trial: Trial, status: str, score: float) -> None:
        """A trial has ended, and is written down.

        Args:
            trial: The one asked for last.
            status: ``done``, ``pruned`` or ``failed``.
            score: NaN makes a failure of what is done.
        """
        state = "FAIL" if status == "done" and math.isnan(score) else _STATES[status]
        value = score if state == "COMPLETE" else None
        self._study.tell(trial.drawn, value, state=self._optuna.trial.TrialState[state])
        self._record.add_trial(self._study.trials[trial.number])

    def _typed(self, params: Mapping[str, Any]) -> dict[str, str]:
        """Values as they would be typed, in the order of the space."""
        return {key: params[key] if isinstance(params[key], str) else repr(params[key]) for key in self._settings.space}


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

"""A run in the eyes of its loggers: its beginning, its epochs, its results and its end."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from visionkit.distributed.comm import rank
from visionkit.errors import UserError
from visionkit.runs.consistency import leaves
from visionkit.training.callbacks.progress import Progress
from visionkit.training.tracking.base import TrackedRun
from visionkit.training.trainer import quiet

__all__ = ["EpochLog", "RunTracking"]

_OWN_COLUMNS = ("seconds", "images_per_second", "data_wait")
"""Of a row of ``metrics.csv``, what Lightning does not log itself."""


class RunTracking:
    """Tells the loggers of a run, in its first process, of its beginning, its results and its end.

    Args:
        loggers: Lightning's; those that are no `TrackedRun` are left alone.
        plain: The resolved configuration.
    """

    def __init__(self, loggers: Sequence[Any], plain: Mapping[str, Any]) -> None:
        self.loggers = list(loggers)
        self._tracked = [each for each in loggers if isinstance(each, TrackedRun)] if rank() == 0 else []
        self._begun: list[TrackedRun] = []
        self._settings = _settings(plain)
        self._is_done = False

    def __enter__(self) -> RunTracking:
        for logger in self._tracked:
            try:
                with quiet():
                    logger.begin_run(self._settings)
            except Exception as error:  # each service has its own
                self.__exit__()
                raise UserError(
                    f"logger: {type(logger).__name__} cannot begin: {type(error).__name__}: {error}. Try the run again "
                    "with logger=none, or mend what it says"
                ) from error
            self._begun.append(logger)
        return self

    def __exit__(self, *exception: object) -> None:
        for logger in self._begun:
            with contextlib.suppress(Exception):  # of a service that is gone; nothing of the run depends on it
                logger.end_run(is_done=self._is_done)

    def callbacks(self, progress: Progress) -> list[pl.Callback]:
        """What logs the epochs, beside Lightning; nothing in a run without loggers.

        Args:
            progress: Measures the epoch.
        """
        return [EpochLog(progress)] if self.loggers else []

    def log_results(self, metrics: Mapping[str, float], plots: Path) -> list[str]:
        """Log the final numbers and the pictures; the run is done.

        Args:
            metrics: The content of ``metrics.json``.
            plots: The folder of pictures.

        Returns:
            Notes of loggers that failed.
        """
        finite = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
        self._is_done = True
        notes = []
        for logger in self._begun:
            try:
                logger.log_results(self._settings, finite)
                for file in sorted(plots.glob("*.png")):
                    logger.log_picture(file.stem, file)
            except Exception as error:  # each service has its own; the run's own files have all of it
                notes.append(f"logger: {type(logger).__name__} lacks the results: {type(error).__name__}: {error}")
        return notes


class EpochLog(pl.Callback):
    """Logs what Lightning does not of each epoch: the learning rate and the speed.

    Args:
        progress: Measures the epoch.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Log them, and write what was logged so far."""
        timings = self.progress.timings()
        values = {"lr": pl_module.rate, **{name: timings[name] for name in _OWN_COLUMNS}}
        step = max(trainer.global_step - 1, 0)  # that of Lightning's own
        for logger in trainer.loggers if rank() == 0 else ():
            if isinstance(logger, TrackedRun):
                logger.log_metrics(values, step=step)
                logger.save()


def _settings(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys to numbers, words and truth values; lists as text."""
    return {
        key: value if isinstance(value, (bool, int, float, str)) else str(value) for key, value in leaves(dict(plain))
    }

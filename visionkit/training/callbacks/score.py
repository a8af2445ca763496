"""Reports the score of each epoch to a function that may stop the run, as a pruner does."""

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl

__all__ = ["ScoreCallback"]


class ScoreCallback(pl.Callback):
    """Calls a function with the score of each epoch.

    Args:
        monitor: The metric to report.
        on_score: Called with the epoch, counted from 1, and the score; returns whether to stop the run.
        stop: Raises the exception that stops the run; called after the epoch has been recorded and saved.
    """

    def __init__(self, monitor: str, *, on_score: Callable[[int, float], bool], stop: Callable[[], None]) -> None:
        self.monitor, self.on_score, self.stop = monitor, on_score, stop
        self._should_stop = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Report the score."""
        score = pl_module.scalars.get(self.monitor)
        self._should_stop = score is not None and self.on_score(trainer.current_epoch + 1, score)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Stop the run if requested."""
        if self._should_stop:
            self.stop()

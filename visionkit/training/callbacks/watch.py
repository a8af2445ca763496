"""Tells somebody the validation score of each epoch, who may end the run before the next."""

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl

__all__ = ["ScoreCallback"]


class ScoreCallback(pl.Callback):
    """Looks on.

    Args:
        monitor: The number to tell.
        on_score: Told the epoch, counted from 1, and the number; whether the run shall end.
        stop: Raises what ends it; called when the epoch has been recorded and saved.
    """

    def __init__(self, monitor: str, *, on_score: Callable[[int, float], bool], stop: Callable[[], None]) -> None:
        self.monitor, self.on_score, self.stop = monitor, on_score, stop
        self._enough = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Tell the number."""
        score = pl_module.numbers.get(self.monitor)
        self._enough = score is not None and self.on_score(trainer.current_epoch + 1, score)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """End the run, if that was wished."""
        if self._enough:
            self.stop()

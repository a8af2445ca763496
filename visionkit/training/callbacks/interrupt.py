"""Ctrl-C: the first one ends training after the current batch with a checkpoint, the second at once."""

import os
import signal
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

__all__ = ["Interrupt", "Interrupted"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """Training was stopped by a signal.

    Attributes:
        saved: Whether the state of the last batch lies in the checkpoint.
    """

    def __init__(self, *, saved: bool) -> None:
        super().__init__("interrupted")
        self.saved = saved


class Interrupt(pl.Callback):
    """Listens for SIGINT and SIGTERM while it is entered as a context.

    Args:
        checkpoint: Where the state is saved.
        say: Prints a line.
    """

    def __init__(self, checkpoint: Path, say: Callable[[str], Any]) -> None:
        self.checkpoint = checkpoint
        self.say = say
        self.asked = False
        self._fitting = False
        self._owner = os.getpid()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupt":
        self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: types.FrameType | None) -> None:
        if os.getpid() != self._owner:  # a loader's worker has inherited this handler; its parent decides
            return
        if self.asked or not self._fitting:
            raise Interrupted(saved=False)
        self.asked = True
        self.say("Stopping after this batch, or after the validation that runs; once more stops at once.")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """From here on a batch is awaited; Lightning's own handlers, set up meanwhile, give way again."""
        self._fitting = True
        if self._before:
            for number in SIGNALS:
                signal.signal(number, self._handle)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop here if asked; after the last batch, validation runs to its end: Lightning would not repeat it."""
        if self.asked and not trainer.is_last_batch:
            self._stop(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop between two epochs if asked, when the one before has been recorded and saved."""
        if self.asked:
            raise Interrupted(saved=self.checkpoint.exists())

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """No batch comes any more; stop if that was asked in the last epoch."""
        self._fitting = False
        if self.asked:
            raise Interrupted(saved=self.checkpoint.exists())

    def _stop(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self.checkpoint)
        raise Interrupted(saved=True)

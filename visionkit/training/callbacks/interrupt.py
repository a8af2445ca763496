"""Ctrl-C: the first one ends training after the current batch with a checkpoint, the second at once."""

import os
import signal
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from visionkit.distributed.comm import all_reduce_sum, world_size

__all__ = ["Interrupt", "Interrupted"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SECONDS_BETWEEN_LOOKS = 0.25
MOST_STEPS_BETWEEN_LOOKS = 20


class Interrupted(BaseException):
    """Training was stopped by a signal.

    Attributes:
        saved: Whether the state of the last batch lies in the checkpoint.
        together: Whether all processes stop here; False where this one goes at once, whatever the others do.
    """

    def __init__(self, *, saved: bool, together: bool = True) -> None:
        super().__init__("interrupted")
        self.saved = saved
        self.together = together


class Interrupt(pl.Callback):
    """Listens for SIGINT and SIGTERM while it is entered as a context.

    Several processes, of which some may be asked earlier than others, ask each other about four times a second and
    stop after the same batch. Asking in each step would cost a small net some five percent.

    Args:
        checkpoint: Where the state is saved.
        announce: Prints a line.
        launched: Whether another process of ours passes Ctrl-C on, and uses SIGTERM to end this one at once.
    """

    def __init__(self, checkpoint: Path, announce: Callable[[str], Any], *, launched: bool = False) -> None:
        self.checkpoint = checkpoint
        self.announce = announce
        self.launched = launched
        self.asked = False
        self._fitting = False
        self._stride = self._steps = 0
        self._looked = 0.0
        self._owner = os.getpid()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupt":
        self._before = {number: signal.signal(number, self._handler(number)) for number in SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handler(self, number: signal.Signals) -> Any:
        return signal.SIG_DFL if self.launched and number == signal.SIGTERM else self._handle

    def _handle(self, number: int, frame: types.FrameType | None) -> None:
        if os.getpid() != self._owner:  # a loader's worker has inherited this handler; its parent decides
            return
        if self.asked or not self._fitting:
            raise Interrupted(saved=False, together=False)
        self.asked = True
        self.announce("Stopping after this batch, or after the validation that runs; once more stops at once.")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """From here on a batch is awaited; Lightning's own handlers, set up meanwhile, give way again."""
        self._fitting = True
        self._stride, self._steps, self._looked = 1, 0, time.perf_counter()
        if self._before:
            for number in SIGNALS:
                signal.signal(number, self._handler(number))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop here if asked; after the last batch, validation runs to its end: Lightning would not repeat it."""
        asked = self.asked if world_size() == 1 else self._look()
        if asked and not trainer.is_last_batch:
            self._stop(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop between two epochs if asked, when the one before has been recorded and saved."""
        if self._agreed():
            raise Interrupted(saved=self.checkpoint.exists())

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """No batch comes any more; stop if that was asked in the last epoch."""
        self._fitting = False
        if self._agreed():
            raise Interrupted(saved=self.checkpoint.exists())

    def _look(self) -> bool:
        """Whether any process was asked, as far as they know of each other.

        They look in steps that they have in common, for what they measure the time by is their sum.
        """
        self._steps += 1
        if self._steps < self._stride:
            return False
        now = time.perf_counter()
        asked, microseconds = all_reduce_sum([int(self.asked), int(1e6 * (now - self._looked))])
        seconds = max(microseconds, 1) / 1e6 / world_size() / self._steps
        self._stride = max(1, min(MOST_STEPS_BETWEEN_LOOKS, int(SECONDS_BETWEEN_LOOKS / seconds)))
        self._steps, self._looked = 0, now
        return asked > 0

    def _agreed(self) -> bool:
        return all_reduce_sum([int(self.asked)]) != [0]

    def _stop(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self.checkpoint)
        raise Interrupted(saved=True)

"""The end of a training after some time: ``recipe.max_time``."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from visionkit.distributed.comm import broadcast_object
from visionkit.training.finite import check_task

__all__ = ["TimeIsUp", "TimeLimit"]


@dataclass(frozen=True)
class TimeIsUp:
    """Where a training has ended.

    Attributes:
        epoch: The last epoch, from 1.
        num_batches: The batches of it that were trained.
        planned: The batches of a whole epoch.
    """

    epoch: int
    num_batches: int
    planned: int

    @property
    def is_within_epoch(self) -> bool:
        return self.num_batches < self.planned


class TimeLimit(pl.Callback):
    """Ends a training when its time is over, after the batch that runs; its epoch is validated and recorded so far.

    Before that the state within the epoch is saved as an interruption saves it: a run that goes on is the one that was
    not stopped. Counted is the time since the beginning of training, with validations, in a resumed run with that
    before the checkpoint. The clock is the first process's; `visionkit.training.callbacks.interrupt.Interrupt` asks it,
    and calls `stop` in all processes after the same batch.

    Args:
        seconds: The time; None for no limit.
        checkpoint: The file the state is saved to.
        spent_before: Seconds of training in this process before it, of which a checkpoint may not know.

    Attributes:
        stopped: Where the training has ended; None if it has not been stopped.
    """

    def __init__(self, seconds: float | None, checkpoint: Path, *, spent_before: float = 0.0) -> None:
        self.seconds, self.checkpoint = seconds, checkpoint
        self.stopped: TimeIsUp | None = None
        self._clock: Callable[[], float] = time.perf_counter
        self._spent_before = spent_before
        self._start = 0.0

    @property
    def spent(self) -> float:
        """Seconds of training so far."""
        return self._spent_before + self._clock() - self._start

    @property
    def is_within_epoch(self) -> bool:
        """Whether the training has been ended within an epoch."""
        return self.stopped is not None and self.stopped.is_within_epoch

    @property
    def is_over(self) -> bool:
        """Whether the time of this process is over."""
        return self.seconds is not None and self.spent >= self.seconds

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._start = self._clock()

    def stop(self, trainer: pl.Trainer, task: Any) -> None:
        """End the training within an epoch, in all processes."""
        check_task(task, epoch=trainer.current_epoch + 1)
        trainer.save_checkpoint(self.checkpoint)
        self._end(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """End the training after an epoch, unless it is the last one."""
        is_last = trainer.max_epochs is not None and trainer.current_epoch + 1 >= trainer.max_epochs
        if self.seconds is None or self.stopped is not None or is_last:
            return
        if broadcast_object(self.is_over):
            self._end(trainer)

    def state_dict(self) -> dict[str, Any]:
        """The time of a resumed run; without a limit nothing, so that equal runs have equal checkpoints."""
        return {} if self.seconds is None else {"seconds": self.spent}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the time; a run that had no limit so far begins with none spent."""
        self._spent_before = max(self._spent_before, float(state_dict.get("seconds", 0.0)))

    def _end(self, trainer: pl.Trainer) -> None:
        num_batches = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        self.stopped = TimeIsUp(trainer.current_epoch + 1, num_batches, int(trainer.num_training_batches))
        trainer.should_stop = True

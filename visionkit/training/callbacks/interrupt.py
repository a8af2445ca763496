"""Graceful interruption: the first Ctrl-C stops after the current batch with a checkpoint, the second at once."""

import os
import signal
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from visionkit.distributed.comm import all_reduce_sum, rank, world_size
from visionkit.training.callbacks.time_limit import TimeLimit
from visionkit.training.finite import check_model

__all__ = ["Interrupt", "Interrupted"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SYNC_SECONDS = 0.25
MAX_STEPS_BETWEEN_SYNCS = 20


class Interrupted(BaseException):
    """Training was stopped by a signal.

    Attributes:
        saved: Whether the checkpoint holds the state after the last batch.
        all_processes: Whether all processes stop at this point; False if this one stops alone and at once.
        signal: The number of the signal.
    """

    def __init__(self, *, saved: bool, all_processes: bool = True, signal: int) -> None:
        super().__init__("interrupted")
        self.signal = signal
        self.saved = saved
        self.all_processes = all_processes


class Interrupt(pl.Callback):
    """Handles SIGINT and SIGTERM within a context.

    Signals may reach processes of a run at different times. They exchange their requests about four times a second and
    stop after the same batch; an exchange in each step would slow a small network down by some five percent.

    Args:
        checkpoint: The file the state is saved to.
        announce: Prints a line.
        is_worker: Whether `visionkit.distributed.launch` has started this process: SIGTERM then ends it at once.
        time_limit: What ends the training after some time; None for nothing. The exchange tells the processes of it.
    """

    def __init__(
        self,
        checkpoint: Path,
        announce: Callable[[str], Any],
        *,
        is_worker: bool = False,
        time_limit: TimeLimit | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.announce = announce
        self.is_worker = is_worker
        self.time_limit = time_limit
        self._time_is_over = False
        self.requested = False
        self.signal: int = signal.SIGINT
        self._fitting = False
        self._sync_interval = self._steps_since_sync = 0
        self._last_sync = 0.0
        self._pid = os.getpid()
        self._old_handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():  # others may not, and get no signals
            self._old_handlers = {signum: signal.signal(signum, self._handler(signum)) for signum in SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for signum, handler in self._old_handlers.items():
            signal.signal(signum, handler)

    def _handler(self, signum: signal.Signals) -> Any:
        return signal.SIG_DFL if self.is_worker and signum == signal.SIGTERM else self._handle

    def _handle(self, signum: int, frame: types.FrameType | None) -> None:
        if os.getpid() != self._pid:  # a data loader's worker inherits this handler
            return
        if self.requested or not self._fitting:
            raise Interrupted(saved=False, all_processes=False, signal=signum)
        self.requested, self.signal = True, signum
        self.announce("Stopping after this batch, or after the validation that runs; once more stops at once.")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop after a batch from now on; restore the handlers, which Lightning has replaced."""
        self._fitting = True
        self._sync_interval, self._steps_since_sync, self._last_sync = 1, 0, time.perf_counter()
        if self._old_handlers:
            for signum in SIGNALS:
                signal.signal(signum, self._handler(signum))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop if requested, but not after the last batch: a resumed run would not repeat its validation."""
        if world_size() == 1:
            requested, self._time_is_over = self.requested, self.time_limit is not None and self.time_limit.is_over
        else:
            requested = self._synchronize()
        if trainer.is_last_batch:
            return
        if requested:
            self._stop(trainer, pl_module)
        if (
            self._time_is_over
            and self.time_limit is not None
            and (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        ):
            self.time_limit.stop(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop before an epoch if requested: the previous one has been recorded and saved."""
        if self._any_requested():
            raise Interrupted(saved=self.checkpoint.exists(), signal=self.signal)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop if requested in the last epoch."""
        self._fitting = False
        if self._any_requested():
            raise Interrupted(saved=self.checkpoint.exists(), signal=self.signal)

    def _synchronize(self) -> bool:
        """Whether a stop was requested in any process, as of the last exchange, in which the time is compared too.

        The interval in steps follows from the sum of the processes' times, so all exchange in the same steps.
        """
        self._steps_since_sync += 1
        if self._steps_since_sync < self._sync_interval:
            return False
        now = time.perf_counter()
        is_over = rank() == 0 and self.time_limit is not None and self.time_limit.is_over
        own = [int(self.requested), int(is_over), int(1e6 * (now - self._last_sync))]
        requested, over, microseconds = all_reduce_sum(own)
        self._time_is_over = over > 0
        seconds = max(microseconds, 1) / 1e6 / world_size() / self._steps_since_sync
        self._sync_interval = max(1, min(MAX_STEPS_BETWEEN_SYNCS, int(SYNC_SECONDS / seconds)))
        self._steps_since_sync, self._last_sync = 0, now
        return requested > 0

    def _any_requested(self) -> bool:
        return all_reduce_sum([int(self.requested)]) != [0]

    def _stop(self, trainer: pl.Trainer, task: Any) -> None:
        check_model(task.model, epoch=trainer.current_epoch + 1, rate=task.rate, initial=task.initial)
        trainer.save_checkpoint(self.checkpoint)
        raise Interrupted(saved=True, signal=self.signal)

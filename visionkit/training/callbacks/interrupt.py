"""Checkpoints within an epoch: every so often, and when a signal stops the run, the second signal at once."""

import math
import os
import signal
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from visionkit.distributed.comm import all_reduce_sum, rank, world_size
from visionkit.errors import SLURM_SIGNAL
from visionkit.settings import SaveInterval
from visionkit.training.callbacks.time_limit import TimeLimit
from visionkit.training.finite import check_task

__all__ = ["Interrupt", "Interrupted"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, *([] if SLURM_SIGNAL is None else [SLURM_SIGNAL]))
SYNC_SECONDS = 0.25
MAX_STEPS_BETWEEN_SYNCS = 20
LONG_VALIDATION_SECONDS = 3.0
"""A validation that takes longer is saved before: a signal need not wait for its end then."""


class Interrupted(BaseException):
    """Training was stopped by a signal.

    Attributes:
        saved: Whether the checkpoint holds the state after the last batch of training.
        all_processes: Whether all processes stop at this point; False if this one stops alone and at once.
        signal: The number of the signal.
    """

    def __init__(self, *, saved: bool, all_processes: bool = True, signal: int) -> None:
        super().__init__("interrupted")
        self.signal = signal
        self.saved = saved
        self.all_processes = all_processes


class Interrupt(pl.Callback):
    """Handles SIGINT, SIGTERM and SLURM's SIGUSR1 within a context, and saves the run every so often.

    Signals may reach processes of a run at different times, and their clocks differ. They exchange their requests about
    four times a second and stop, or save, after the same batch; an exchange in each step would slow a small network
    down by some five percent. Both happen after an optimizer step, since accumulated gradients are not saved. After the
    last batch of an epoch they happen as its validation begins, which a resumed run repeats; the run is saved there too
    if the validation is long, or its length not known yet, and a signal in it stops each process at once.

    Args:
        checkpoint: The file the state is saved to.
        announce: Prints a line.
        is_worker: Whether `visionkit.distributed.launch` has started this process: SIGTERM then ends it at once.
        every: How often the run is saved within an epoch; None for never.
        check_folder: Called in the first process before it saves.
        time_limit: What ends the training after some time; None for nothing. The exchange tells the processes of it.
    """

    def __init__(
        self,
        checkpoint: Path,
        announce: Callable[[str], Any],
        *,
        is_worker: bool = False,
        every: SaveInterval | None = None,
        check_folder: Callable[[], Any] = lambda: None,
        time_limit: TimeLimit | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.announce = announce
        self.is_worker = is_worker
        self.every = every or SaveInterval()
        self.check_folder = check_folder
        self.time_limit = time_limit
        self.requested = False
        self.signal: int = signal.SIGINT
        self._fitting = False
        self._agreed = self._due = self._time_is_over = False
        self._last_save = 0.0
        self._validation_began, self._validation_seconds = 0.0, math.inf
        self._is_validating = self._is_saved_for_validation = False
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
        if not self.is_worker or signum == signal.SIGINT:
            return self._handle
        return signal.SIG_DFL if signum == signal.SIGTERM else signal.SIG_IGN  # the launching process forwards it

    def _handle(self, signum: int, frame: types.FrameType | None) -> None:
        if os.getpid() != self._pid:  # a data loader's worker inherits this handler
            return
        if self.requested and signum == SLURM_SIGNAL:  # a warning, which may come to several processes and be passed on
            return
        if self.requested or not self._fitting or self._is_saved_for_validation:
            raise Interrupted(saved=self._is_saved_for_validation, all_processes=False, signal=signum)
        self.requested, self.signal = True, signum
        self.announce(
            f"Stopping after this {'validation' if self._is_validating else 'batch'}; once more stops at once."
        )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop after a batch from now on; restore the handlers, which Lightning has replaced."""
        self._fitting = True
        self._sync_interval, self._steps_since_sync = 1, 0
        self._last_sync = self._last_save = time.perf_counter()
        if self._old_handlers:
            for signum in SIGNALS:
                signal.signal(signum, self._handler(signum))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop or save if it is time to, and this is no last batch."""
        self._look()
        if trainer.is_last_batch or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        if self._agreed:
            self._save(trainer, pl_module)
            raise Interrupted(saved=True, signal=self.signal)
        if self._time_is_over and self.time_limit is not None:
            self.time_limit.stop(trainer, pl_module)
        elif self._due or self._is_step_to_save(trainer):
            self._save(trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop if requested; save if that is due, or this validation may be long."""
        if self.time_limit is not None and self.time_limit.stopped is not None:  # it has saved the epoch so far
            return
        self._is_validating, self._validation_began = True, time.perf_counter()
        long = self._validation_seconds > LONG_VALIDATION_SECONDS
        of_first = rank() == 0 and (long or self._is_time_to_save() or self._is_step_to_save(trainer))
        requested, due = all_reduce_sum([int(self.requested), int(of_first)])
        if requested or due:
            self._save_before_validation(trainer, pl_module)
        if requested:
            raise Interrupted(saved=True, signal=self.signal)
        self._is_saved_for_validation = due > 0

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note how long validations take."""
        self._is_validating = self._is_saved_for_validation = False
        self._validation_seconds = time.perf_counter() - self._validation_began

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop before an epoch if requested: the previous one has been recorded and saved."""
        if self._any_requested():
            raise Interrupted(saved=self.checkpoint.exists(), signal=self.signal)
        self._due, self._last_save = False, time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop if requested in the last epoch."""
        self._fitting = False
        if self._any_requested():
            raise Interrupted(saved=self.checkpoint.exists(), signal=self.signal)

    def _look(self) -> None:
        """Note whether a stop was requested in any process and a save is due by the first one's clock.

        As of the last exchange, whose interval in steps follows from the sum of the processes' times: all exchange in
        the same steps.
        """
        self._steps_since_sync += 1
        if self._steps_since_sync < self._sync_interval:
            return
        now = time.perf_counter()
        due = self._is_time_to_save()
        over = self.time_limit is not None and self.time_limit.is_over
        if world_size() == 1:
            self._agreed, self._due, self._time_is_over = self.requested, due, over
            return
        of_first = [int(flag and rank() == 0) for flag in (due, over)]
        *counts, microseconds = all_reduce_sum([int(self.requested), *of_first, int(1e6 * (now - self._last_sync))])
        self._agreed, self._due, self._time_is_over = (count > 0 for count in counts)
        seconds = max(microseconds, 1) / 1e6 / world_size() / self._steps_since_sync
        self._sync_interval = max(1, min(MAX_STEPS_BETWEEN_SYNCS, int(SYNC_SECONDS / seconds)))
        self._steps_since_sync, self._last_sync = 0, now

    def _is_time_to_save(self) -> bool:
        return self.every.seconds is not None and time.perf_counter() - self._last_save >= self.every.seconds

    def _is_step_to_save(self, trainer: pl.Trainer) -> bool:
        return self.every.steps is not None and trainer.global_step % self.every.steps == 0

    def _any_requested(self) -> bool:
        return all_reduce_sum([int(self.requested)]) != [0]

    def _save_before_validation(self, trainer: pl.Trainer, task: Any) -> None:
        """Save in such a way that Lightning goes on with this validation: as if its first batch had been begun."""
        progress = trainer.fit_loop.epoch_loop.val_loop.batch_progress
        progress.increment_ready()
        progress.increment_started()
        with torch.inference_mode(False):
            self._save(trainer, task)
        progress.reset()

    def _save(self, trainer: pl.Trainer, task: Any) -> None:
        check_task(task, epoch=trainer.current_epoch + 1)
        if rank() == 0:
            self.check_folder()
        trainer.save_checkpoint(self.checkpoint)
        self._due, self._last_save = False, time.perf_counter()

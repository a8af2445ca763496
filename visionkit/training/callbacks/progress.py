"""Measures the speed of training and shows progress."""

import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from visionkit.tasks.base import VisionTask
from visionkit.training.callbacks.display import ProgressDisplay

__all__ = ["Progress"]

UPDATE_SECONDS = 0.25
UPDATE_SHARE = 0.005
"""Of the time of training, the most that updates of the display may take, unless they would be seldom."""
MAX_UPDATE_SECONDS = 2.0


class Progress(pl.Callback):
    """Times epochs and updates the display, for which the loss is read from the device a few times a second only.

    Args:
        display: Shows the progress.
    """

    def __init__(self, display: ProgressDisplay) -> None:
        self.display = display
        self._clock: Callable[[], float] = time.perf_counter
        self._start_clock()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the epoch's clock and bar."""
        self.display.start_epoch(trainer.current_epoch + 1, int(trainer.num_training_batches))
        self._start_clock()

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Stop the clock of waiting for data."""
        self._wait_seconds += self._clock() - self._waiting_since

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: dict[str, Tensor], batch_idx: int
    ) -> None:
        """Count images; update the display if it is due."""
        self._images += len(batch["images"]) * trainer.world_size
        if self._clock() >= self._next_update:
            self._update(pl_module, batch_idx)
        self._waiting_since = self._clock()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Stop the clock of the training epoch."""
        self._train_seconds = self._clock() - self._start_time
        self.display.validate()

    def timings(self) -> dict[str, float]:
        """Seconds of the epoch so far, images per second of training, fraction of training spent waiting for data."""
        train_seconds = max(self._train_seconds or self._clock() - self._start_time, 1e-9)
        return {
            "seconds": self._clock() - self._start_time,
            "images_per_second": self._images / train_seconds,
            "data_wait": min(self._wait_seconds / train_seconds, 1.0),
        }

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        """Remove the bar."""
        self.display.stop()

    def _start_clock(self) -> None:
        self._start_time: float = self._clock()
        self._next_update: float = self._start_time + UPDATE_SECONDS
        self._waiting_since = self._start_time
        self._wait_seconds = self._train_seconds = 0.0
        self._images: int = 0

    def _update(self, task: VisionTask, batch_idx: int) -> None:
        last = task.losses["train"].last
        assert last is not None
        loss = float(last)  # waits for a GPU, which is no time that the display takes
        began = self._clock()
        elapsed = max(began - self._start_time, 1e-9)
        self.display.update(
            batch_idx + 1,
            loss=loss,
            images_per_second=self._images / elapsed,
            data_share=min(self._wait_seconds / elapsed, 1.0),
        )
        now = self._clock()
        self._next_update = now + min(max(UPDATE_SECONDS, (now - began) / UPDATE_SHARE), MAX_UPDATE_SECONDS)

"""Times every batch and shows progress."""

import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from visionkit.tasks.base import VisionTask, images_that_count
from visionkit.training.callbacks.display import ProgressDisplay

__all__ = ["Progress"]

UPDATE_SECONDS = 0.25
PICTURES = 32


class Progress(pl.Callback):
    """Measures and shows. Within an epoch the loss is read from the device a few times a second only.

    Args:
        display: Where progress appears.

    Attributes:
        first_batch: Copies of the first images and targets that were trained on; empty before.
    """

    def __init__(self, display: ProgressDisplay) -> None:
        self.display = display
        self.first_batch: dict[str, Tensor] = {}
        self._now: Callable[[], float] = time.perf_counter
        self._start_clock()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the epoch's clock and bar."""
        self.display.start_epoch(trainer.current_epoch + 1, int(trainer.num_training_batches))
        self._start_clock(fetched=_fetch_seconds(trainer))

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Keep the first batch for its picture."""
        if not self.first_batch and images_that_count(batch):
            self.first_batch = {name: value[:PICTURES].cpu() for name, value in batch.items() if value.ndim}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: dict[str, Tensor], batch_idx: int
    ) -> None:
        """Count, and now and then look at the loss."""
        self._images += images_that_count(batch) * trainer.world_size
        if self._now() >= self._next_update:
            self._update(trainer, pl_module, batch_idx)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Training of this epoch is over: stop its clock."""
        self._trained = self._now() - self._began
        self._waited = _fetch_seconds(trainer) - self._fetched_before
        self.display.validate()

    def timings(self) -> dict[str, float]:
        """Seconds of the epoch so far, images per second of training, share of training spent waiting for data."""
        trained = max(self._trained or self._now() - self._began, 1e-9)
        return {
            "seconds": self._now() - self._began,
            "images_per_second": self._images / trained,
            "data_wait": min(self._waited / trained, 1.0),
        }

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        """Leave the terminal tidy."""
        self.display.stop()

    def _start_clock(self, *, fetched: float = 0.0) -> None:
        self._began: float = self._now()
        self._next_update: float = self._began + UPDATE_SECONDS
        self._fetched_before, self._waited, self._trained = fetched, 0.0, 0.0
        self._images: int = 0

    def _update(self, trainer: pl.Trainer, task: VisionTask, batch_idx: int) -> None:
        last = task.losses["train"].last
        if last is None:  # this process, of several, has had no sample yet
            return
        self._waited = _fetch_seconds(trainer) - self._fetched_before
        elapsed = max(self._now() - self._began, 1e-9)
        self.display.update(
            batch_idx + 1,
            loss=float(last),
            images_per_second=self._images / elapsed,
            data_share=min(self._waited / elapsed, 1.0),
        )
        self._next_update = self._now() + UPDATE_SECONDS


def _fetch_seconds(trainer: pl.Trainer) -> float:
    """Seconds spent so far waiting for training batches; 0 where the Trainer does not time them."""
    return float(getattr(getattr(trainer, "profiler", None), "seconds", 0.0))

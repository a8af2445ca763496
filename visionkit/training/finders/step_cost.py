"""What a training step costs on this device: the real step of a recipe, on a real batch that is read once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from visionkit.data.shared_cache import SharedCache
from visionkit.runs.checkpoint import build_run_model
from visionkit.runs.config import RunConfig
from visionkit.training.build import make_task
from visionkit.training.finders.batch_search import StepCost
from visionkit.training.model import data_info
from visionkit.training.teacher import make_distillation
from visionkit.training.trainer import make_trainer, quiet, raising_interrupts, seed

__all__ = ["TrainingSteps"]

_WARM_UP, _FEWEST, _MOST = 2, 3, 100


class TrainingSteps:
    """Measures training steps with batches of any size; reads the data set once.

    Args:
        config: The configuration, for a single process.
        accelerator: ``cuda``, ``mps`` or ``cpu``.
        seconds: For which a size is timed, beside the warm-up.

    Attributes:
        datamodule: The data, with the recipe's own batch size.
        pixels: The largest height times width of a batch so far; 0 before the first.
    """

    def __init__(self, config: RunConfig, *, accelerator: str, seconds: float) -> None:
        self.accelerator, self.seconds = accelerator, seconds
        source = replace(config.source, num_workers=0)
        # the steps are timed, not the learning: a rate that changes nothing cannot diverge
        recipe = replace(config.recipe, lr=1e-12, accumulate=1, epochs=1, early_stopping=None)
        self.config = replace(config, source=source, recipe=recipe, debug=replace(config.debug, limit_batches=None))
        self._shared = SharedCache()
        self.datamodule = self._open_data(config.recipe.batch_size)
        self._data = data_info(config, self.datamodule)
        self.pixels = 0

    def measure(self, size: int) -> StepCost:
        """Train for a few steps on one batch.

        Args:
            size: Images in it, at most those of the training split.

        Raises:
            torch.OutOfMemoryError: If the batch does not fit; also a RuntimeError or MemoryError outside of CUDA.
        """
        batch = self.read_batch(size)
        height, width = batch["images"].shape[-2:]
        self.pixels = max(self.pixels, height * width)
        seed(self.config.seed)
        model = build_run_model(self.config.backbone, self.config.head, self._data)
        distillation = make_distillation(self.config, self._data, model)
        task = make_task(self.config, model, self._data, distillation=distillation)
        clock = _Clock(self.seconds, on_cuda=self.accelerator == "cuda")
        with quiet():
            trainer = make_trainer(
                hardware=self.config.hardware, accelerator=self.accelerator, debug=self.config.debug,
                recipe=self.config.recipe, callbacks=[clock],
            )  # fmt: skip
            trainer.limit_val_batches = 0
            with raising_interrupts():
                trainer.fit(task, train_dataloaders=_Repeated(batch))
        return StepCost(size, sorted(clock.seconds)[len(clock.seconds) // 4], clock.memory)

    def read_batch(self, size: int) -> dict[str, Tensor]:
        """A training batch of a size, augmented as the first of a training is."""
        return next(iter(self._open_data(size).train_dataloader()))

    def _open_data(self, size: int) -> Any:
        config = replace(self.config, recipe=replace(self.config.recipe, batch_size=size))
        datamodule = config.datamodule(None, shared=self._shared)
        datamodule.prepare_data()
        datamodule.setup("fit")
        return datamodule


class _Repeated:
    """A loader that gives one batch again and again."""

    def __init__(self, batch: dict[str, Tensor]) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return _WARM_UP + _MOST

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for _ in range(len(self)):
            yield self.batch


class _Clock(pl.Callback):
    """Times the steps after a warm-up, until they have taken long enough.

    Attributes:
        seconds: Of each step.
        memory: The most bytes that tensors have taken on a CUDA device; None elsewhere.
    """

    def __init__(self, limit: float, *, on_cuda: bool) -> None:
        self.limit, self.on_cuda = limit, on_cuda
        self.seconds: list[float] = []
        self.memory: int | None = None
        self._start = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Begin to watch the memory."""
        if self.on_cuda:
            torch.cuda.reset_peak_memory_stats()

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Start the clock."""
        self._start = self._now()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop the clock, and the training once there are enough steps."""
        seconds = self._now() - self._start
        if batch_idx >= _WARM_UP:
            self.seconds.append(seconds)
        trainer.should_stop = len(self.seconds) >= _FEWEST and sum(self.seconds) >= self.limit
        if self.on_cuda:
            self.memory = torch.cuda.max_memory_allocated()

    def _now(self) -> float:
        if self.on_cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

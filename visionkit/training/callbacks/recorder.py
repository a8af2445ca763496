"""Writes metrics, the newest and the best checkpoint after each epoch."""

import math
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint

from visionkit.distributed.comm import broadcast_object, rank
from visionkit.errors import UserError
from visionkit.runs.folder import RunFolder
from visionkit.tasks.base import VisionTask
from visionkit.tasks.info import TaskInfo
from visionkit.training.callbacks.display import epoch_line
from visionkit.training.callbacks.progress import Progress
from visionkit.training.callbacks.time_limit import TimeLimit
from visionkit.training.finite import check_task

__all__ = ["Recorder", "check_all_epochs"]

CURVES_SECONDS = 30.0


class Recorder(Checkpoint):
    """Writes ``metrics.csv``, ``checkpoints/last.ckpt`` and ``checkpoints/best.ckpt``, each atomically.

    Args:
        folder: The run folder.
        info: The monitored metric and its mode.
        progress: Measures the epoch.
        time_limit: What ends the training after some time; None for nothing. It saves its epoch so far by itself.

    Attributes:
        history: A row per epoch, as in ``metrics.csv``, in a resumed run with those of the previous epochs.
        best_score: The best validation score so far; None before the first epoch.
        best_epoch: The epoch of the best score, counted from 1; 0 before the first.
        has_begun: Whether there was an epoch left to train.
    """

    def __init__(
        self, folder: RunFolder, info: TaskInfo, progress: Progress, *, time_limit: TimeLimit | None = None
    ) -> None:
        self.time_limit = time_limit
        self.folder, self.info, self.progress = folder, info, progress
        self.history: list[dict[str, float]] = folder.read_history()
        self.best_score: float | None = None
        self.best_epoch = 0
        self.has_begun = False
        self._last_drawn = time.perf_counter()

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Remove the row of an epoch that is repeated because its checkpoint was not written.

        Raises:
            UserError: If epochs that the checkpoint has behind it have no row, or rows are of epochs that no checkpoint
                of the run has seen.
        """
        self.has_begun = True
        rows, repeated = len(self.history), [row for row in self.history if row["epoch"] > trainer.current_epoch]
        self.history = self.history[: rows - len(repeated)]
        going_on_from_last = trainer.ckpt_path is not None and Path(trainer.ckpt_path) == self.folder.last_checkpoint
        ahead = going_on_from_last and rows > trainer.current_epoch + 1  # a row is written just before its checkpoint
        steps = max((row.get("step", 0.0) for row in self.history), default=0.0)
        if len(self.history) < trainer.current_epoch or ahead or steps > trainer.global_step:
            raise UserError(
                f"resume: '{self.folder.history_file}' has rows of {rows} epochs, and the checkpoint has "
                f"{trainer.current_epoch} behind it, with {trainer.global_step} steps. Expected the file that the run "
                "wrote. Put it back, or begin a new run: "
                f"python -m visionkit train run={self.folder.path}"
            )
        if rank() == 0 and self.folder.best_whole_checkpoint.exists():  # best.ckpt is of the epoch that is repeated
            self.folder.best_whole_checkpoint.replace(self.folder.best_checkpoint)
        elif any(self.info.better(row.get(self.info.monitor, math.nan), self.best_score) for row in repeated):
            self.best_score, self.best_epoch = None, 0
        self.on_train_epoch_start(trainer, pl_module)  # which Lightning leaves out within an epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Remove the results of a finished run that trains on: they would be taken for those of its new epochs."""
        if rank() == 0:
            for file in (self.folder.metrics_file, self.folder.weights_file):
                file.unlink(missing_ok=True)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Record the epoch, which has been validated, and save checkpoints.

        Raises:
            UserError: If the weights are not finite, the epoch is cut short, or the run's folder is gone; the old
                checkpoints are kept.
        """
        task: VisionTask = pl_module
        _check_whole(trainer, task)
        check_task(task, epoch=trainer.current_epoch + 1)
        row = {
            "epoch": float(trainer.current_epoch + 1),
            "step": float(trainer.global_step),
            "lr": task.rate,
            **{name: value for name, value in task.scalars.items() if not name.startswith("test/")},
            **self.progress.timings(),
        }
        row = {name: _rounded(value) for name, value in row.items()}  # as a resumed run reads them from the file
        self.history.append(row)
        score = row.get(self.info.monitor, float("nan"))
        best = self.info.better(score, self.best_score)
        if best:
            self.best_score, self.best_epoch = score, int(row["epoch"])
        is_cut = self.time_limit is not None and self.time_limit.is_within_epoch
        if rank() == 0:
            self.folder.check_present()
            self._write_history()
            if best and is_cut and self.folder.best_checkpoint.exists():  # a run that goes on repeats this epoch
                self.folder.best_checkpoint.replace(self.folder.best_whole_checkpoint)
        # The best checkpoint first, since the state in the last one refers to it. All processes take part in saving.
        if broadcast_object(best or not self.folder.best_checkpoint.exists()):
            trainer.save_checkpoint(self.folder.best_checkpoint)
        if not is_cut:
            trainer.save_checkpoint(self.folder.last_checkpoint)
        self.progress.display.end_epoch(
            epoch_line(row, epochs=self.progress.display.epochs, monitor=self.info.monitor, best=best)
        )
        if rank() == 0 and time.perf_counter() - self._last_drawn > CURVES_SECONDS:
            self.draw_curves()

    def draw_curves(self) -> None:
        """Plot loss, metric and learning rate over the epochs."""
        from visionkit.report.plots.curves import plot_curves

        path = self.folder.plots / "curves.png"
        plot_curves(self.history, path, monitor=self.info.monitor, mode=self.info.mode)
        self._last_drawn = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """The state of a resumed run."""
        return {"best_score": self.best_score, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state; without the best checkpoint, the best is the best of the epochs to come.

        Raises:
            ValueError: If the state is none that `state_dict` has given.
        """
        score, epoch = state_dict["best_score"], state_dict["best_epoch"]
        if not (score is None or (isinstance(score, float) and math.isfinite(score))) or type(epoch) is not int:
            raise ValueError(f"best_score {score!r} and best_epoch {epoch!r}")
        if self.folder.best_checkpoint.exists():
            self.best_score, self.best_epoch = score, epoch

    def _write_history(self) -> None:
        columns = list(dict.fromkeys(name for row in self.history for name in row))
        rows = [[_cell(row.get(name)) for name in columns] for row in self.history]
        self.folder.write_csv(self.folder.history_file, columns, rows)


def _check_whole(trainer: pl.Trainer, task: VisionTask) -> None:
    """Check that an epoch has had all its batches, unless a callback stops the training, and its whole validation."""
    num_batches, planned = trainer.fit_loop.epoch_loop.batch_progress.current.completed, trainer.num_training_batches
    if num_batches < planned and not trainer.should_stop:
        raise UserError(
            f"epoch {trainer.current_epoch + 1} ended after {num_batches} of {planned} batches: a callback, head, loss "
            "or metric has raised StopIteration, which Lightning takes for the end of the data, or returned -1. "
            "Expected another error."
        )
    if task.losses["train"].num_images:  # they are counted until the validation has ended
        raise UserError(
            f"the validation of epoch {trainer.current_epoch + 1} was cut short: a callback has raised StopIteration, "
            "which Lightning takes for the end of the data. Expected another error."
        )


def check_all_epochs(trainer: pl.Trainer) -> None:
    """Check that a training has had all its epochs, unless a callback or an early stop ended it.

    Raises:
        UserError: If one of its epochs was cut short without a word; what it has saved is kept.
    """
    num_epochs, planned = trainer.current_epoch, trainer.max_epochs or 0
    if num_epochs < planned and not trainer.should_stop:
        raise UserError(
            f"the training ended after {num_epochs} of {planned} epochs: a callback has raised StopIteration, which "
            "Lightning takes for the end of the data. Expected another error; to end it early, a callback sets "
            "trainer.should_stop = True."
        )


def _rounded(value: float) -> float:
    return value if value.is_integer() else float(f"{value:.8g}")


def _cell(value: float | None) -> float | int | None:
    return int(value) if value is not None and value.is_integer() and abs(value) >= 1 else value

"""Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger

__all__ = ["WandbRun"]


class WandbRun(WandbLogger):
    """A run of Weights & Biases; a run that goes on offline adds a folder of the same id, which syncing joins."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._wandb_init.pop("anonymous", None)  # newer versions only warn of it

    def begin_run(self, settings: Mapping[str, Any]) -> None:
        """As the run's config."""
        self.experiment.config.update(dict(settings), allow_val_change=True)

    def log_results(self, settings: Mapping[str, Any], results: Mapping[str, float]) -> None:
        """As the run's summary."""
        self.experiment.summary.update({f"final/{name}": value for name, value in results.items()})

    def log_picture(self, name: str, file: Path) -> None:
        """See `visionkit.training.tracking.base.TrackedRun.log_picture`."""
        import wandb

        self.experiment.log({f"plots/{name}": wandb.Image(str(file))})

    def end_run(self, *, is_done: bool) -> None:
        """Finish it: the next run of this process is another one."""
        self.experiment.finish(exit_code=0 if is_done else 1)

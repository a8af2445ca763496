"""MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import MLFlowLogger

from visionkit.runs.folder import RunFolder
from visionkit.training.tracking.ids import store_id

__all__ = ["MlflowRun"]


class MlflowRun(MLFlowLogger):
    """A run of MLflow; a run that goes on takes it up again.

    Args:
        folder: That of the run, which keeps its name there.
        **options: Those of Lightning's logger.
    """

    def __init__(self, *, folder: RunFolder, **options: Any) -> None:
        super().__init__(**options)
        self._folder = folder

    def begin_run(self, settings: Mapping[str, Any]) -> None:
        """As parameters; of a run that goes on, those that are new: MLflow changes none."""
        name, client = str(self.run_id), self.experiment
        store_id(self._folder, "mlflow", name)
        client.update_run(name, status="RUNNING")
        known = client.get_run(name).data.params
        self.log_hyperparams({key: value for key, value in settings.items() if key not in known})

    def log_results(self, settings: Mapping[str, Any], results: Mapping[str, float]) -> None:
        """As metrics."""
        self.log_metrics({f"final/{name}": value for name, value in results.items()})

    def log_picture(self, name: str, file: Path) -> None:
        """See `visionkit.training.tracking.base.TrackedRun.log_picture`."""
        self.experiment.log_artifact(self.run_id, str(file), "plots")

    def end_run(self, *, is_done: bool) -> None:
        """Say how it ended."""
        self.experiment.set_terminated(self.run_id, "FINISHED" if is_done else "KILLED")

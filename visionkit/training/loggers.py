"""Lightning's loggers, made from their settings; see `visionkit.settings.LOGGERS`."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any, Literal

from visionkit.runs.folder import RunFolder
from visionkit.settings import LOGGERS, Logger, Mlflow, SeveralLoggers, Wandb
from visionkit.training.tracking.ids import read_id, store_id

__all__ = ["make_loggers", "mlflow_logger", "no_logger", "tensorboard_logger", "wandb_logger"]

_SQLITE = "sqlite:///"


def make_loggers(settings: Logger, folder: RunFolder) -> list[Any]:
    """The Lightning loggers of ``logger``."""
    chosen = list(settings.loggers.values()) if isinstance(settings, SeveralLoggers) else [settings]
    made = [LOGGERS.module_of(type(each))(each, folder) for each in chosen]
    return [logger for logger in made if logger is not False]


def no_logger(settings: Logger, folder: RunFolder) -> Literal[False]:
    """No logger."""
    return False


def tensorboard_logger(settings: Logger, folder: RunFolder) -> Any:
    """Event files in the folder of the run."""
    from visionkit.training.tracking.tensorboard import TensorBoardRun

    return TensorBoardRun(save_dir=str(folder.path), name="tensorboard", version="", default_hp_metric=False)


def wandb_logger(settings: Wandb, folder: RunFolder) -> Any:
    """A run of Weights & Biases, with the name that it has had so far."""
    os.environ.setdefault("WANDB_SILENT", "true")
    if settings.mode == "offline":
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    from visionkit.training.tracking.wandb import WandbRun

    run_id = read_id(folder, "wandb")
    if run_id is None:
        run_id = uuid.uuid4().hex[:12]
        store_id(folder, "wandb", run_id)
    return WandbRun(
        name=folder.path.name, save_dir=str(folder.path), id=run_id, project=settings.project, entity=settings.entity,
        offline=settings.mode == "offline", log_model=False, resume="allow",
    )  # fmt: skip


def mlflow_logger(settings: Mlflow, folder: RunFolder) -> Any:
    """A run of MLflow, with the name that it has had so far; files unless a place is given."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    uri, artifacts = settings.uri, None
    if uri is None:
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # of a run alone: a database takes ten seconds to set up
        uri = (folder.path / "mlflow").resolve().as_uri()
    elif uri.startswith(_SQLITE):  # else they would lie in the working directory
        artifacts = (Path(uri.removeprefix(_SQLITE)).resolve().parent / "mlartifacts").as_uri()
    from visionkit.training.tracking.mlflow import MlflowRun

    return MlflowRun(
        folder=folder, experiment_name=settings.experiment, run_name=folder.path.name, tracking_uri=uri,
        run_id=read_id(folder, "mlflow"), artifact_location=artifacts,
    )  # fmt: skip

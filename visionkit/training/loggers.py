"""Lightning's loggers, made from their settings; see `visionkit.settings.LOGGERS`."""

from typing import Any, Literal

from visionkit.runs.folder import RunFolder
from visionkit.settings import Logger

__all__ = ["no_logger", "tensorboard_logger"]


def no_logger(settings: Logger, folder: RunFolder) -> Literal[False]:
    """No logger."""
    return False


def tensorboard_logger(settings: Logger, folder: RunFolder) -> Any:
    """Event files in the folder of the run."""
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(save_dir=str(folder.path), name="tensorboard", version="")

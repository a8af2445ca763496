"""Checks of whether a run can be resumed, and the data info it is resumed with."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

from visionkit.errors import UserError
from visionkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from visionkit.runs.config import RunConfig

__all__ = ["check_resumable", "stored_data_info"]


def check_resumable(config: RunConfig, folder: RunFolder) -> None:
    """Check, without torch, that a run can be resumed.

    Raises:
        UserError: If it has no intact checkpoint, or was trained for more epochs than requested.
    """
    if not folder.last_checkpoint.is_file():
        raise UserError(
            f"resume: '{folder.path}' has no checkpoints/last.ckpt to go on from. "
            f"Try a new run with the same configuration: python -m visionkit train run={folder.path}"
        )
    if not zipfile.is_zipfile(folder.last_checkpoint):
        raise UserError(
            f"resume: '{folder.last_checkpoint}' is damaged and cannot be read. "
            f"Try a new run with the same configuration: python -m visionkit train run={folder.path}"
        )
    epochs = config.recipe.epochs
    trained = max((int(row["epoch"]) for row in folder.read_history()), default=0)
    if trained > epochs:
        raise UserError(
            f"recipe.epochs: found {epochs}, but '{folder.path}' has {trained} epochs behind it, and a run cannot go "
            f"back. Expected {trained} or more. Try: recipe.epochs={trained}"
        )


def stored_data_info(folder: RunFolder, datamodule: Any) -> dict[str, Any]:
    """The data info stored in a run's folder, after a check that the present data set and its splits agree with it.

    Raises:
        UserError: If the data set or its splits differ.
    """
    from visionkit.runs.checkpoint import check_data, check_splits, read_data_info

    check_data(folder, datamodule.info)
    check_splits(folder, datamodule)
    return read_data_info(folder)

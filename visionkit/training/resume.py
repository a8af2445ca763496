"""Checks of whether a run can be resumed, and the data info it is resumed with."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.errors import UserError
from visionkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from visionkit.runs.config import RunConfig

__all__ = ["check_resumable", "resume_checkpoint", "stored_data_info"]


def check_resumable(config: RunConfig, folder: RunFolder) -> None:
    """Check, without torch, that a run can be resumed.

    Raises:
        UserError: If it has no intact checkpoint, or was trained for more epochs than requested.
    """
    resume_checkpoint(folder)
    epochs = config.recipe.epochs
    trained = max((int(row["epoch"]) for row in folder.read_history()), default=0)
    if trained > epochs:
        raise UserError(
            f"recipe.epochs: found {epochs}, but '{folder.path}' has {trained} epochs behind it, and a run cannot go "
            f"back. Expected {trained} or more. Try: recipe.epochs={trained}"
        )


def resume_checkpoint(folder: RunFolder) -> Path:
    """The checkpoint that a run goes on from: the last one, or if that is damaged the best one.

    Raises:
        UserError: If neither is whole.
    """
    for file in (folder.last_checkpoint, folder.best_checkpoint):
        if file.is_file() and _is_whole(file):
            return file
    problem = (
        f"'{folder.last_checkpoint}' is damaged and cannot be read, and there is no whole best.ckpt beside it"
        if folder.last_checkpoint.exists()
        else f"'{folder.path}' has no checkpoints/last.ckpt to go on from"
    )
    raise UserError(
        f"resume: {problem}. Try a new run with the same configuration: python -m visionkit train run={folder.path}"
    )


def _is_whole(file: Path) -> bool:
    """Whether a checkpoint is an archive whose members have their checksums."""
    try:
        with zipfile.ZipFile(file) as archive:
            if sum(member.file_size for member in archive.infolist()) > file.stat().st_size:
                return False  # torch compresses nothing: what grows was made to fill the memory
            return archive.testzip() is None
    except Exception:  # of a crafted archive, zipfile raises what its parts do
        return False


def stored_data_info(folder: RunFolder, datamodule: Any) -> dict[str, Any]:
    """The data info stored in a run's folder, after a check that the present data set and its splits agree with it.

    Raises:
        UserError: If the data set or its splits differ.
    """
    from visionkit.runs.checkpoint import check_data, check_splits, read_data_info

    check_data(folder, datamodule.info)
    check_splits(folder, datamodule)
    return read_data_info(folder)

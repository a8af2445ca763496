"""Checks of whether a run can be resumed, and the data info it is resumed with."""

from __future__ import annotations

import contextlib
import functools
import traceback
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.errors import UserError
from visionkit.registry import plugin_failure
from visionkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from torch import Tensor

    from visionkit.runs.checkpoint_file import Checkpoint
    from visionkit.runs.config import RunConfig

__all__ = ["check_resumable", "explain_restoring", "read_resumed", "resume_checkpoint", "stored_data_info"]

_RESTORING_FILE = "checkpoint_connector.py"
_RESTORING_FUNCTIONS = {"load_state", "load_state_dict", "on_load_checkpoint"}


def check_resumable(config: RunConfig, folder: RunFolder) -> None:
    """Check, without torch, that a run can be resumed.

    Raises:
        UserError: If a checkpoint is damaged or none is left, or it was trained for more epochs, or longer, than
            requested.
    """
    resume_checkpoint(folder)
    if folder.best_checkpoint.exists() and not _is_whole(folder.best_checkpoint):
        raise UserError(
            f"resume: '{folder.best_checkpoint}' is damaged and cannot be read. Expected the file that the run wrote. "
            "Put it back; or remove it, and the best epoch is the best of those to come."
        )
    epochs = config.recipe.epochs
    trained = max((int(row["epoch"]) for row in folder.read_history()), default=0)
    if trained > epochs:
        raise UserError(
            f"recipe.epochs: found {epochs}, but '{folder.path}' has {trained} epochs behind it, and a run cannot go "
            f"back. Expected {trained} or more. Try: recipe.epochs={trained}"
        )
    _check_time_left(config, folder, spent=sum(row.get("seconds", 0.0) for row in folder.read_history()))


def _check_time_left(config: RunConfig, folder: RunFolder, *, spent: float) -> None:
    from visionkit.settings import describe_duration

    limit = config.recipe.max_time
    if limit is not None and spent >= limit:
        raise UserError(
            f"recipe.max_time: found {describe_duration(limit)}, but '{folder.path}' has trained for "
            f"{describe_duration(spent)}, which counts. Expected more. "
            f"Try: recipe.max_time={describe_duration(spent + limit)}, or recipe.max_time=null"
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


def read_resumed(
    config: RunConfig,
    folder: RunFolder,
    data: Mapping[str, Any],
    model_state: Mapping[str, Tensor],
    *,
    has_plugins: bool = False,
) -> Checkpoint:
    """Read the checkpoint that a run goes on from, and check it against the run.

    Args:
        config: The configuration of the run.
        folder: Its folder.
        data: The content of its ``data.json``.
        model_state: The state of its model, freshly built.
        has_plugins: Whether callbacks of the user may have written keys of their own.

    Raises:
        UserError: If there is none, its weights are not finite, it is not a checkpoint of this run, or the time of the
            run is over.
    """
    from visionkit.runs.checkpoint_file import check_state, read_checkpoint
    from visionkit.runs.consistency import check_recorded_config, check_recorded_data
    from visionkit.runs.weight_fit import naming_layers
    from visionkit.training.finite import check_checkpoint

    checkpoint = read_checkpoint(resume_checkpoint(folder), where="resume")
    check_recorded_data(checkpoint.data, data, file=checkpoint.file, run=folder.path)
    with naming_layers(checkpoint.weights, model_state):
        check_recorded_config(checkpoint.config, config.plain, file=checkpoint.file, run=folder.path)
    check_state(checkpoint, model_state, epochs=config.recipe.epochs, has_plugins=has_plugins)
    check_checkpoint(checkpoint, best=folder.best_checkpoint, initial=model_state)
    clock = checkpoint.content["callbacks"].get("TimeLimit")  # it counts what lies between two epochs too
    spent = clock.get("seconds") if isinstance(clock, Mapping) else None
    if isinstance(spent, float):
        _check_time_left(config, folder, spent=spent)
    return checkpoint


def _is_whole(file: Path) -> bool:
    """Whether a checkpoint is an archive whose members have their checksums."""
    status = file.stat()
    return _is_whole_archive(file, (status.st_ino, status.st_size, status.st_mtime_ns))


@functools.lru_cache(maxsize=8)  # a run asks several times, and a file may have gigabytes
def _is_whole_archive(file: Path, version: tuple[int, ...]) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            if sum(member.file_size for member in archive.infolist()) > file.stat().st_size:
                return False  # torch compresses nothing: what grows was made to fill the memory
            return archive.testzip() is None
    except Exception:  # of a crafted archive, zipfile raises what its parts do
        return False


@contextlib.contextmanager
def explain_restoring(file: Path | None) -> Iterator[None]:
    """A context in which Lightning restores a training from a checkpoint, if one is given.

    Raises:
        UserError: If what the checkpoint says of optimizer, loops or callbacks cannot be restored.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        frames = traceback.extract_tb(error.__traceback__)
        restoring = any(
            Path(frame.filename).name == _RESTORING_FILE or frame.name in _RESTORING_FUNCTIONS for frame in frames
        )
        if file is None or not restoring or plugin_failure(error) or type(error).__name__ == "OutOfMemoryError":
            raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise UserError(
            f"resume: '{file}' does not hold the state of this training ({reason}). Expected the checkpoint that this "
            f"run wrote. Try a new run with the same configuration: python -m visionkit train run={file.parent.parent}"
        ) from None


def stored_data_info(folder: RunFolder, datamodule: Any) -> dict[str, Any]:
    """The data info stored in a run's folder, after a check that the present data set and its splits agree with it.

    Raises:
        UserError: If the data set or its splits differ.
    """
    from visionkit.runs.checkpoint import check_data, check_splits, read_data_info

    check_data(folder, datamodule.info)
    check_splits(folder, datamodule)
    return read_data_info(folder)

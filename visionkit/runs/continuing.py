"""``resume=auto``: a command that begins a run, goes on with it, or finds it finished, however often it is repeated."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from visionkit.errors import UserError
from visionkit.files import expand_user
from visionkit.runs.consistency import CHANGEABLE_ON_RESUME, UNRECORDED, is_below, leaves
from visionkit.runs.folder import RunFolder
from visionkit.runs.objects import RunObjects
from visionkit.schema import describe

__all__ = ["Continuation", "clear_unsaved", "find_continuation"]


@dataclass(frozen=True)
class Continuation:
    """What a command with ``resume=auto`` has to do.

    Attributes:
        plain: The configuration.
        resume_from: The run that goes on, or is finished; None to begin one.
        is_finished: Whether there is nothing left to do.
    """

    plain: Mapping[str, Any]
    resume_from: RunFolder | None = None
    is_finished: bool = False


def find_continuation(plain: Mapping[str, Any], objects: RunObjects) -> Continuation:
    """Look what there is in ``run_dir``; nothing is written, and all processes of a run find the same.

    Args:
        plain: The resolved configuration of the command.
        objects: What a person has given in Python.

    Raises:
        UserError: If ``run_dir`` is not given, or holds a run of another configuration.
    """
    if not plain.get("run_dir"):
        raise UserError(
            "resume=auto goes on with the run in run_dir=FOLDER, or begins it there, and run_dir is not given. "
            "Expected the same folder each time. Try: run_dir=runs/mine resume=auto"
        )
    folder = RunFolder(expand_user(plain["run_dir"]))
    if not folder.config_file.is_file():
        return Continuation(plain)
    stored = RunFolder.open(str(folder.path)).read_config()
    _check_same(stored, objects.marked(plain), folder)
    changed = {key: value for key, value in plain.items() if key in CHANGEABLE_ON_RESUME or key == "run_dir"}
    merged = {**stored, **changed}
    for key in (key for key in CHANGEABLE_ON_RESUME if "." in key):
        merged = _with_value(merged, plain, key.split("."))
    if _is_finished(folder, stored, merged):
        return Continuation(merged, folder, is_finished=True)
    return Continuation(plain) if _is_unsaved(folder) else Continuation(merged, folder)


def clear_unsaved(run_dir: str) -> None:
    """Remove what a run has left that was killed before it saved anything; other files stay.

    Raises:
        UserError: If another process is training there.
    """
    folder = RunFolder(expand_user(run_dir))
    if not folder.config_file.is_file() or folder.is_finished or not _is_unsaved(folder):
        return
    folder.lock()
    try:
        for directory in (folder.plots, folder.last_checkpoint.parent):
            shutil.rmtree(directory, ignore_errors=True)
        for file in (
            folder.data_file, folder.splits_file, folder.environment_file, folder.log_file, folder.notes_file,
            folder.history_file, folder.config_file,
        ):  # fmt: skip
            file.unlink(missing_ok=True)
    finally:
        folder.unlock()


def _is_unsaved(folder: RunFolder) -> bool:
    """Whether no checkpoint was written yet; the row of the first epoch is written just before."""
    is_saved = folder.last_checkpoint.exists() or folder.best_checkpoint.exists()
    return not is_saved and len(folder.read_history()) <= 1


def _with_value(values: Any, others: Any, path: Sequence[str]) -> Any:
    """Nested values with one of the others', if both have the place of it."""
    if not path:
        return others
    if not (isinstance(values, Mapping) and isinstance(others, Mapping) and path[0] in others):
        return values
    return {**values, path[0]: _with_value(values.get(path[0]), others[path[0]], path[1:])}


def _is_finished(folder: RunFolder, stored: Mapping[str, Any], plain: Mapping[str, Any]) -> bool:
    """Whether the run was trained and tested, for as many epochs as the command asks for."""
    if not folder.is_finished:
        return False
    ends = [
        [values["recipe"].get("early_stopping"), values["recipe"].get("max_time"), values.get("callbacks")]
        for values in (stored, plain)
    ]
    may_end_early = any(ends[0]) and ends[0] == ends[1]  # with more time or patience there is something left to do
    advice = f"Remove it, and type the command again: the run is tested once more. It lies in {folder.path}"
    trained, planned = folder.read_metrics(advice=advice).get("epochs", 0), _num_epochs(plain)
    return trained >= planned or (may_end_early and planned <= _num_epochs(stored))


def _num_epochs(plain: Mapping[str, Any]) -> int:
    return int(plain["debug"].get("epochs") or plain["recipe"]["epochs"])


def _check_same(stored: Mapping[str, Any], plain: Mapping[str, Any], folder: RunFolder) -> None:
    before, now = dict(leaves(stored)), dict(leaves(plain))
    for key in dict.fromkeys([*before, *now]):
        if before.get(key) != now.get(key) and not is_below(key, UNRECORDED):
            found, begun = describe(now.get(key)), describe(before.get(key))
            raise UserError(
                f"{key}: found {found}, but the run in '{folder.path}' was begun with {begun}, and resume=auto goes on "
                f"with a run as it is. Expected the command that began it. For a run with this change: another run_dir="
            )

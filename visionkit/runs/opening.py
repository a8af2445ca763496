"""The run that a person means in Python."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from visionkit.errors import UserError
from visionkit.runs.folder import RunFolder

__all__ = ["run_folder"]


def run_folder(run: Any, *, verb: str) -> RunFolder:
    """The folder of a run.

    Args:
        run: A `visionkit.runs.run.Run`, a folder, its ``model.safetensors``, or ``latest``.
        verb: What is to be done with it, for error messages.

    Raises:
        UserError: If it is none of these.
    """
    path = getattr(run, "path", run)
    if not isinstance(path, str | os.PathLike):
        raise UserError(
            f"{verb}: found a {type(run).__name__}, expected the folder of a run, its model.safetensors, or 'latest'."
        )
    file = Path(path).expanduser()
    if file.suffix != ".safetensors" or not file.is_file():
        return RunFolder.open(os.fspath(path))
    folder = RunFolder.open(str(file.parent))
    if file.name != folder.weights_file.name:
        raise UserError(
            f"{verb}: '{file}' is not the {folder.weights_file.name} of its run, which alone would be loaded. "
            f"Expected a run. Try: visionkit.{verb}({str(folder.path)!r})"
        )
    return folder

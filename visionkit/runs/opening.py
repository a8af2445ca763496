"""The run that a person means in Python."""

from __future__ import annotations

import os
from typing import Any

from visionkit.errors import UserError
from visionkit.files import expand_user
from visionkit.os_errors import explain_os_errors
from visionkit.runs.folder import RunFolder

__all__ = ["run_folder"]


@explain_os_errors()
def run_folder(run: Any, *, verb: str) -> RunFolder:
    """The folder of a run.

    Args:
        run: A `visionkit.runs.run.Run`, a folder, a ``.safetensors`` file of its weights, or ``latest``.
        verb: What is to be done with it, for error messages.

    Raises:
        UserError: If it is none of these.
    """
    path = getattr(run, "path", run)
    if not isinstance(path, str | os.PathLike):
        raise UserError(
            f"{verb}: found a {type(run).__name__}, expected the folder of a run, its model.safetensors, or 'latest'."
        )
    file = expand_user(path)
    if file.suffix != ".safetensors" or not file.is_file():
        return RunFolder.open(os.fspath(path))
    folder = RunFolder.open(str(file.parent))
    if verb != "load" and file.name != folder.weights_name:
        raise UserError(
            f"{verb}: '{file}' is not the {folder.weights_name} of its run, which alone would be taken. Expected the "
            f"run. Try: visionkit.{verb}({str(folder.path)!r})"
        )
    folder.weights_name = file.name
    return folder

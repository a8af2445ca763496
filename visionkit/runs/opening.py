"""The run that a person means in Python."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visionkit.errors import UserError
from visionkit.runs.folder import RunFolder

__all__ = ["check_plugins", "run_folder"]


def run_folder(run: Any, *, verb: str) -> RunFolder:
    """The folder of a run.

    Args:
        run: A `visionkit.runs.run.Run`, a folder, its ``model.safetensors``, or ``latest``. To load it, the file of
            weights may have any name.
        verb: What is to be done with it.

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
    if verb == "load":
        folder.weights_name = file.name
    elif file.name != folder.weights_file.name:
        raise UserError(
            f"{verb}: '{file}' is not the {folder.weights_file.name} of its run, which alone would be loaded. "
            f"Expected a run. Try: visionkit.{verb}({str(folder.path)!r})"
        )
    return folder


def check_plugins(folder: RunFolder, plain: Mapping[str, Any], plugins: Sequence[str]) -> None:
    """Check that the caller names modules if the run needs some.

    Raises:
        UserError: If none are named.
    """
    stored = plain.get("plugins") or []
    if stored and not plugins:
        raise UserError(
            f"the run '{folder.path}' was made with plugins {stored}, and a run folder's code is never run unasked. "
            f"If you trust it: visionkit.load({str(folder.path)!r}, plugins={stored!r})"
        )

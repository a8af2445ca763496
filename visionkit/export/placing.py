"""The files of an export in their folder: the model, refused or not, and what goes with it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from visionkit.export.description import has_script
from visionkit.files import write_atomic
from visionkit.runs.alive import is_alive
from visionkit.text import json_text

__all__ = ["draft_folder", "place_files"]

_DRAFTS = ".unchecked-"
_SCRIPT = Path(__file__).with_name("run_onnx.py")


class _Comparison(Protocol):
    @property
    def passed(self) -> bool:
        """Whether the file is handed over, and not refused."""

    def document(self) -> dict[str, Any]:
        """The content of ``parity.json``."""


@contextmanager
def draft_folder(folder: Path) -> Iterator[Path]:
    """A folder for what is not compared yet, which is removed at the end; those of processes that were killed too."""
    for left in folder.glob(f"{_DRAFTS}*"):
        process = left.name.removeprefix(_DRAFTS)
        if not process.isdigit() or not is_alive(int(process), since=left.stat().st_mtime):
            shutil.rmtree(left, ignore_errors=True)
    drafts = folder / f"{_DRAFTS}{os.getpid()}"
    drafts.mkdir(exist_ok=True)
    try:
        yield drafts
    finally:
        shutil.rmtree(drafts, ignore_errors=True)


def place_files(draft: Path, target: Path, info: Mapping[str, Any], parity: _Comparison) -> tuple[Path, ...]:
    """Give a file its name, in the place of that of an earlier export, and write what goes with it.

    Args:
        draft: The file, in a `draft_folder` of that of the target; it is moved, with what lies beside it.
        target: Its path if it passed; else it is named ``*.rejected``.
        info: The content of ``classes.json``.
        parity: What the comparison has found.

    Returns:
        The file, classes, comparison, and a script if that can run the file.
    """
    folder, rejected = target.parent, target.with_name(f"{target.name}.rejected")
    kept, old = (target, rejected) if parity.passed else (rejected, target)
    os.replace(draft, kept)
    old.unlink(missing_ok=True)
    for beside in draft.parent.iterdir():  # of weights
        os.replace(beside, folder / beside.name)
    files = [kept, folder / "classes.json", folder / "parity.json"]
    write_atomic(files[1], json_text(info, indent=2) + "\n")
    write_atomic(files[2], json_text(parity.document(), indent=2) + "\n")
    script = folder / _SCRIPT.name
    script.unlink(missing_ok=True)
    if target.suffix == ".onnx" and parity.passed and has_script(info):
        files.append(script)
        write_atomic(script, _SCRIPT.read_bytes())
    return tuple(files)

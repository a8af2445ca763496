"""The files of an export in their folder: the model, refused or not, and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from visionkit.export.description import has_script
from visionkit.files import write_atomic
from visionkit.text import json_text

__all__ = ["place_files"]

_SCRIPT = Path(__file__).with_name("run_onnx.py")


class _Comparison(Protocol):
    @property
    def passed(self) -> bool:
        """Whether the file is handed over, and not refused."""

    def document(self) -> dict[str, Any]:
        """The content of ``parity.json``."""


def place_files(draft: Path, target: Path, info: Mapping[str, Any], parity: _Comparison) -> tuple[Path, ...]:
    """Give a file its name, in the place of that of an earlier export, and write what goes with it.

    Args:
        draft: The file, in the folder of the target; it is renamed.
        target: Its path if it passed; else it is named ``*.rejected``.
        info: The content of ``classes.json``.
        parity: What the comparison has found.

    Returns:
        The file, classes, comparison, and a script if that can run the file.
    """
    folder, rejected = target.parent, target.with_name(f"{target.name}.rejected")
    for old in (target, rejected):
        old.unlink(missing_ok=True)
    kept = draft.rename(target if parity.passed else rejected)
    files = [kept, folder / "classes.json", folder / "parity.json"]
    write_atomic(files[1], json_text(info, indent=2) + "\n")
    write_atomic(files[2], json_text(parity.document(), indent=2) + "\n")
    script = folder / _SCRIPT.name
    script.unlink(missing_ok=True)
    if target.suffix == ".onnx" and has_script(info):
        files.append(script)
        write_atomic(script, _SCRIPT.read_bytes())
    return tuple(files)

"""What a run said of its data, batch and length: ``notes.json`` in its folder, where a sweep collects it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from visionkit.files import write_atomic
from visionkit.text import json_text

__all__ = ["add_notes", "read_notes"]


def read_notes(file: Path) -> list[str]:
    """The notes of a run; none if there is no file, or it holds no list: they are for reading alone."""
    try:
        notes = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    return [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []


def add_notes(file: Path, notes: Sequence[str]) -> None:
    """Add notes to those of a run, each once; no file is made where there are none."""
    known = read_notes(file)
    added = [note for note in dict.fromkeys(notes) if note not in known]
    if added:
        write_atomic(file, json_text([*known, *added], indent=2) + "\n")

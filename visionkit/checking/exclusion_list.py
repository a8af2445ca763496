"""The images that a check would leave out, as a text file for ``dataset.exclude``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy

from visionkit.checking.data_set import DataSet
from visionkit.checking.file_record import Fault
from visionkit.errors import UserError
from visionkit.files import write_atomic

__all__ = ["EXCLUDED", "check_place", "write_exclusions"]

EXCLUDED = "excluded.txt"

_UNREADABLE = (
    Fault.MISSING | Fault.DENIED | Fault.EMPTY | Fault.NO_IMAGE | Fault.NO_CODEC | Fault.TRUNCATED
    | Fault.BROKEN_HEADER | Fault.NO_FILE
)  # fmt: skip


def check_place(out: str, root: Path | None, names: Sequence[str]) -> Path:
    """The folder that files of these names are written to.

    Raises:
        UserError: If it lies in the data, or one of the files is there already.
    """
    folder = Path(out).expanduser()
    if root is not None and root.is_dir() and folder.resolve().is_relative_to(root.resolve()):
        raise UserError(
            f"out: '{out}' lies in the data set, to which check writes nothing. Expected another folder. Try: out=.."
        )
    present = next((folder / name for name in names if (folder / name).exists()), None)
    if present is not None:
        raise UserError(
            f"out: '{present}' is there already. Expected a folder without it. Remove it, or try out=FOLDER"
        )
    return folder


def write_exclusions(data: DataSet, file: Path) -> int:
    """Write the paths, a group for each reason, and return their number."""
    groups = _groups(data)
    lines, seen = list[bytes](), set[bytes]()
    for reason, names in groups.items():
        new = [name for name in names if name not in seen]
        seen.update(new)
        if new:
            lines += [f"# {reason}".encode(), *new]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, b"\n".join(lines) + b"\n" if lines else b"")
    return len(seen)


def _groups(data: DataSet) -> dict[str, list[bytes]]:
    files, read = data.files, data.files.split >= 0
    groups = {"cannot be read": files.names[read & files.having(_UNREADABLE)].tolist()}
    if data.pixels is None:
        return groups
    pixels, twins = data.pixels, data.twins
    groups["pixels cannot be decoded"] = files.names[read & files.is_seen & ~pixels["is_read"]].tolist()
    groups["broken pixels"] = files.names[read & pixels["is_broken"]].tolist()
    across = files.split[twins.first] != files.split[twins.second]
    first, second = twins.first[across], twins.second[across]
    rows = numpy.where(files.split[first] < files.split[second], first, second)  # what is measured stays
    groups["nearly the same picture is in a later split"] = files.names[numpy.unique(rows)].tolist()
    return {reason: [os.path.normpath(name) for name in names] for reason, names in groups.items()}

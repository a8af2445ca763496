"""What was seen of each file in an earlier check, kept in a folder of the user's choice."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.checking.parallel import LookFn, look_at
from visionkit.errors import UserError
from visionkit.files import write_atomic

__all__ = ["RecordCache"]

_VERSION = 1


class RecordCache:
    """Records of files by path, size and time of change; a file that has changed is looked at again.

    Args:
        folder: Where they are kept; None keeps nothing.
        root: The folder of the data set.

    Raises:
        UserError: If the folder lies in the data set.
    """

    def __init__(self, folder: str | None, root: Path | None) -> None:
        self.folder = None if folder is None else Path(folder).expanduser()
        self.root = Path() if root is None else root
        if self.folder is not None and root is not None and self.folder.resolve().is_relative_to(root.resolve()):
            raise UserError(
                f"cache: '{folder}' lies in the data set, to which check writes nothing. Expected another folder. Try: "
                "cache=checked"
            )

    def look(
        self, kind: str, names: Sequence[bytes], look: LookFn, *, dtype: numpy.dtype[Any], advance: Callable[[int], Any]
    ) -> NDArray[Any]:
        """The record of each file, as it was kept or as it is now.

        Args:
            kind: What is looked at, ``headers`` or ``pixels``.
            names: Of the files, relative to the root.
            look: As `look_at`.
            dtype: Of a record.
            advance: As `look_at`.
        """
        top = os.fsencode(self.root)
        paths = [os.path.join(top, name) for name in names]
        if self.folder is None:
            return look_at(paths, look, advance=advance)
        stamps = _stamps(paths)
        kept = self._read(kind, dtype)
        records = numpy.zeros(len(paths), dtype)
        new = list[int]()
        for row, (name, stamp) in enumerate(zip(names, map(tuple, stamps.tolist()), strict=True)):
            found = kept.get(name)
            if found is None or found[0] != stamp or not any(stamp):
                new.append(row)
            else:
                records[row] = found[1]
        advance(len(paths) - len(new))
        if new:
            records[new] = look_at([paths[row] for row in new], look, advance=advance)
            self._write(kind, names, stamps, records)
        return records

    def _file(self, kind: str) -> Path:
        assert self.folder is not None
        key = hashlib.sha256(os.fsencode(self.root.resolve())).hexdigest()[:16]
        return self.folder / f"{key}-{kind}.npz"

    def _read(self, kind: str, dtype: numpy.dtype[Any]) -> dict[bytes, tuple[tuple[int, ...], Any]]:
        """Size and time, and record, by name; nothing of a file that cannot be read or is of another version."""
        try:
            with numpy.load(self._file(kind), allow_pickle=False) as content:
                if content["version"].tolist() != _VERSION or content["records"].dtype != dtype:
                    return {}
                columns = content["names"].tolist(), content["stamps"].tolist(), content["records"]
        except Exception:  # a file that is not there, cut short, or crafted: all is looked at again
            return {}
        return {name: (tuple(stamp), record) for name, stamp, record in zip(*columns, strict=False)}

    def _write(self, kind: str, names: Sequence[bytes], stamps: NDArray[Any], records: NDArray[Any]) -> None:
        file = self._file(kind)
        file.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        numpy.savez(content, version=_VERSION, names=numpy.array(names, numpy.bytes_), stamps=stamps, records=records)
        write_atomic(file, content.getvalue())


def _stamps(paths: Sequence[bytes]) -> NDArray[Any]:
    """Size and time of change of each file in nanoseconds, int64 (N, 2); zeros of one that is not there."""
    stamps = numpy.zeros((len(paths), 2), dtype=numpy.int64)
    for row, path in enumerate(paths):
        try:
            status = os.stat(path)
        except OSError:
            continue
        stamps[row] = status.st_size, status.st_mtime_ns
    return stamps

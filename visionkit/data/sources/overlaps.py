"""The same file in two splits, or twice in a set: by path, link and inode, and for small sets by contents."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from visionkit.data.findings import MAX_LISTED, Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MAX_COMPARED", "Names", "content_ids", "find_uncompared", "label_conflicts", "overlaps"]

MAX_COMPARED = 50_000
"""The number of files up to which contents are compared."""

_TAIL = 4096

Names: TypeAlias = "Sequence[str] | NDArray[Any]"
"""Paths of files, as text or as an array of bytes."""


def content_ids(
    root: Path,
    names: Names,
    *,
    compare_contents: bool,
    split_ids: NDArray[Any] | None = None,
    inodes: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """A number for each file, equal for files that are the same.

    Files are the same if they have one path, are links to one file or, where contents are compared and there are at
    most `MAX_COMPARED` files, have equal contents. Only files of equal size are read for it, of these first the ends.

    Args:
        root: The folder that names are relative to.
        names: The paths of the files.
        compare_contents: Whether files are read.
        split_ids: int64 (N,), the split of each file, or its split and class, whose contents are compared with those of
            others alone; None compares all.
        inodes: uint64 (N,), the inode of each file; None lists the files' folders, if there are too many to compare.

    Returns:
        int64 (N,).
    """
    import numpy

    if len(names) <= MAX_COMPARED:
        files = _Files(root, names)
        ids = _first_equal(files.keys)
        return _merge_equal_contents(files, ids, split_ids) if compare_contents else ids
    inodes = _list_inodes(root, names) if inodes is None else inodes
    ordered = numpy.sort(inodes)
    repeated = numpy.flatnonzero(numpy.isin(inodes, ordered[1:][ordered[1:] == ordered[:-1]]))
    files = _Files(root, [names[row] for row in repeated.tolist()])  # an inode is unique on its device alone
    ids = numpy.arange(len(names))
    ids[repeated] = repeated[_first_equal(files.keys)]
    return ids


def find_uncompared(num_files: int, *, compare_contents: bool) -> list[Finding]:
    """A finding, if the contents of so many files are not compared."""
    if not compare_contents:
        return [Finding("contents-uncompared", num_files)]
    return [] if num_files <= MAX_COMPARED else [Finding("overlap-unchecked", num_files)]


def label_conflicts(names: Names, ids: NDArray[Any], labels: NDArray[Any]) -> list[Finding]:
    """A finding on the files that are the same as one of another class.

    Args:
        names: The paths of the files.
        ids: int64 (N,), as `content_ids`.
        labels: int64 (N,), the class of each.
    """
    import numpy

    rows = numpy.flatnonzero(labels[ids] != labels)
    places = [f"{os.fsdecode(names[row])} and {os.fsdecode(names[ids[row]])}" for row in rows[:MAX_LISTED]]
    return [Finding.counted("image-two-classes", len(rows), places)] if len(rows) else []


def overlaps(
    kind: Literal["splits", "groups"], names: Mapping[str, Names], ids: Mapping[str, NDArray[Any]], *, allowed: bool
) -> list[Finding]:
    """Findings on the files of a split whose id is in another split too.

    Args:
        kind: Whether ids are those of files or of groups.
        names: The names of each split's files.
        ids: For each split int64 (N,).
        allowed: Whether the user allows it, so that it is no error.
    """
    import numpy

    codes = {
        "splits": ("splits-overlap", "splits-overlap-allowed"),
        "groups": ("groups-overlap", "groups-overlap-allowed"),
    }
    findings = []
    for other, split in combinations(names, 2):
        rows = numpy.flatnonzero(numpy.isin(ids[split], ids[other], kind="table"))
        if len(rows):
            places = []
            for row in rows[:MAX_LISTED]:
                partner = numpy.flatnonzero(ids[other] == ids[split][row])[0]
                name, other_name = os.fsdecode(names[split][row]), os.fsdecode(names[other][partner])
                places.append(name if name == other_name else f"{name} and {other_name}")
            findings.append(Finding.counted(codes[kind][allowed], len(rows), places, split=split, other=other))
    return findings


class _Files:
    """What the file system says of files; a file that is missing has size 0."""

    def __init__(self, root: Path, names: Names) -> None:
        folder = os.fsencode(root)
        self.paths = [os.path.join(folder, os.fsencode(name)) for name in names]
        self.keys: list[Hashable] = []
        self.sizes: list[int] = []
        self._times: list[int] = []
        for path in self.paths:
            try:
                status = os.stat(path)
            except OSError:
                self.keys.append(path)
                self.sizes.append(0)
                self._times.append(0)
            else:
                self.keys.append((status.st_dev, status.st_ino))
                self.sizes.append(status.st_size)
                self._times.append(status.st_mtime_ns)

    def digest(self, row: int, num_bytes: int | None) -> Hashable:
        """Size, and digest of a file's last bytes, or of all; a file that cannot be read equals no other."""
        size = self.sizes[row]
        start = 0 if num_bytes is None else max(0, size - num_bytes)
        return size, _digest(self.paths[row], size, self._times[row], start) or row


@lru_cache(maxsize=65536)  # each run of a sweep divides its images anew
def _digest(path: bytes, size: int, time: int, start: int) -> bytes | None:
    try:
        with open(path, "rb") as file:
            file.seek(start)
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return None


def _merge_equal_contents(files: _Files, ids: NDArray[Any], split_ids: NDArray[Any] | None) -> NDArray[Any]:
    """Give files of equal contents the same id, int64 (N,)."""
    ids = ids.copy()
    rows = [row for row, size in enumerate(files.sizes) if size]
    contents: list[Hashable] = list(files.sizes)
    for num_bytes in (_TAIL, None):
        rows = _rows_with_others(rows, contents, ids, split_ids)
        for row in rows:
            contents[row] = files.digest(row, num_bytes)
    first: dict[Hashable, int] = {}
    for row in rows:
        ids[row] = first.setdefault(contents[row], int(ids[row]))
    return ids


def _first_equal(keys: Sequence[Hashable]) -> NDArray[Any]:
    """The position of the first equal key of each key, int64 (N,)."""
    import numpy

    first: dict[Hashable, int] = {}
    return numpy.array([first.setdefault(key, row) for row, key in enumerate(keys)], dtype=numpy.int64)


def _rows_with_others(
    rows: Sequence[int], contents: Sequence[Hashable], ids: NDArray[Any], split_ids: NDArray[Any] | None
) -> list[int]:
    """The rows whose content may be that of another file, of another split if ``split_ids`` are given."""
    by_content: defaultdict[Hashable, list[int]] = defaultdict(list)
    for row in rows:
        by_content[contents[row]].append(row)
    return [
        row
        for members in by_content.values()
        if len(members) > 1
        and len({int(ids[row]) for row in members}) > 1
        and (split_ids is None or len({int(split_ids[row]) for row in members}) > 1)
        for row in members
    ]


def _list_inodes(root: Path, names: Names) -> NDArray[Any]:
    """The inode of each file as its folder lists it, uint64 (N,); that of the target for a link."""
    import numpy

    by_folder: dict[bytes, dict[bytes, int]] = {}
    inodes = numpy.zeros(len(names), dtype=numpy.uint64)
    for row, name in enumerate(names):
        folder, _, base = os.path.join(os.fsencode(root), os.fsencode(name)).rpartition(os.sep.encode())
        if folder not in by_folder:
            by_folder[folder] = _folder_inodes(folder)
        inodes[row] = by_folder[folder].get(base, 0)
    return inodes


def _folder_inodes(folder: bytes) -> dict[bytes, int]:
    inodes = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    inodes[entry.name] = entry.stat().st_ino if entry.is_symlink() else entry.inode()
                except OSError:  # a link to nothing
                    continue
    except OSError:
        return {}
    return inodes

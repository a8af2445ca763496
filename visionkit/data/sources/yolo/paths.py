"""Finds files and folders by paths as people and tools wrote them, on this computer or on another."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from visionkit.data.image_files import is_system_folder
from visionkit.text import fold_name

__all__ = ["FolderListings", "PathFinder", "read_path"]

_MAX_FOLDERS = 1_000
_MAX_DEPTH = 3
_MAX_TAIL = 10


def read_path(text: str) -> str:
    """A path with ``/`` between its parts, whichever system wrote it."""
    return text.strip().strip("\"'").replace("\\", "/")


class FolderListings:
    """The names in folders, each read once, to find paths in any case and any form of Unicode."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, list[str]]] = {}

    def names(self, folder: str) -> list[str]:
        """The sorted names of the entries of a folder; none if it cannot be read."""
        return [name for names in self._by_folded_name(folder).values() for name in names]

    def find(self, folder: str, path: str) -> str | None:
        """An existing path below a folder, as it is written or else in another case; None if there is none."""
        first, present = path.partition("/")[0], self._by_folded_name(folder)
        if present and first not in ("", ".", "..") and fold_name(first) not in present:
            return None
        if os.path.exists(exact := os.path.normpath(os.path.join(folder, path))):
            return exact
        found = folder
        for part in filter(None, path.split("/")):
            names = self._by_folded_name(found).get(fold_name(part), [part] if part in (".", "..") else [])
            if not names:
                return None
            found = os.path.join(found, part if part in names else names[0])
        return os.path.normpath(found)

    def _by_folded_name(self, folder: str) -> dict[str, list[str]]:
        if folder not in self._names:
            try:
                names = sorted(os.listdir(folder))
            except OSError:
                names = []
            grouped: dict[str, list[str]] = {}
            for name in names:
                grouped.setdefault(fold_name(name), []).append(name)
            self._names[folder] = grouped
        return self._names[folder]


class PathFinder:
    """Finds what the files of a data set name.

    A path is looked for below each of the folders, then where it points to, then by its tail: ``C:\\data\\set\\images``
    and ``/content/set/images`` are ``images`` below a folder, or in a folder further down, if there is only one. Of a
    relative path to a folder two parts or more must fit.

    Args:
        folders: Absolute folders that paths may be relative to, the most likely one first.
        listings: The listings of folders, shared with other readers.
    """

    def __init__(self, folders: Sequence[Path], listings: FolderListings) -> None:
        self._folders = list(dict.fromkeys(map(str, folders)))
        self._listings = listings
        self._parents: dict[str, list[str]] = {}

    def beside(self, folder: str) -> PathFinder:
        """A finder that looks below another folder first, such as that of a list."""
        return PathFinder([Path(folder), *map(Path, self._folders)], self._listings)

    def find(self, text: str) -> str | None:
        """The existing file or folder that a path names; None if there is none, or several by its tail."""
        parts = _parts(read_path(text))
        return self._find(text, min_parts=1 if parts and "." in parts[-1] else 2)

    def find_listed(self, text: str) -> str:
        """The path of a file that a list names; where it should be if there is none. A folder is searched for once."""
        parent, _, name = read_path(text).rpartition("/")
        if parent not in self._parents:
            beneath = [self._listings.find(folder, "/".join(_parts(parent))) for folder in self._folders]
            found = [*filter(None, beneath)] or [*filter(None, [self._find(parent, min_parts=1)])]
            self._parents[parent] = found or self._folders
        for folder in self._parents[parent]:
            if (path := self._listings.find(folder, name)) is not None:
                return path
        return os.path.normpath(os.path.join(self._parents[parent][0], name))

    def _find(self, text: str, *, min_parts: int) -> str | None:
        """The file or folder of a path, of which at least so many parts must fit if it is relative."""
        path = read_path(text)
        is_absolute = re.match(r"(?:[A-Za-z]:)?/", path) is not None
        if is_absolute and os.path.exists(path):
            return os.path.normpath(path)
        parts = _parts(path)
        candidates = ["/".join(parts)] if is_absolute else ["/".join(parts), path]
        tails = range(max(1, len(parts) - _MAX_TAIL), len(parts) - (0 if is_absolute else min_parts - 1))
        candidates += ["/".join(parts[start:]) for start in tails]
        for candidate in candidates:
            for folder in self._folders:
                if (found := self._listings.find(folder, candidate)) is not None:
                    return found
        # the name of a file alone may be that of another one: an image of val for one of train
        is_file = bool(parts) and "." in parts[-1]
        return self._find_deeper([c for c in candidates if not c.startswith(".") and ("/" in c or not is_file)])

    def _find_deeper(self, candidates: Sequence[str]) -> str | None:
        for candidate in candidates:
            folders = self._folders_with.get(fold_name(candidate.partition("/")[0]), ())
            found = {path for folder in folders if (path := self._listings.find(folder, candidate)) is not None}
            if found:
                return found.pop() if len(found) == 1 else None
        return None

    @cached_property
    def inner_folders(self) -> list[str]:
        """The folders below the folders, to a depth of 3."""
        return [inner for folder in self._folders for inner in _walk_folders(folder)]

    @cached_property
    def _folders_with(self) -> dict[str, list[str]]:
        """The folders that hold a folder of a name, as `fold_name` writes it."""
        folders: dict[str, list[str]] = {}
        for inner in self.inner_folders:
            folder, name = os.path.split(inner)
            folders.setdefault(fold_name(name), []).append(folder)
        return folders


def _parts(path: str) -> list[str]:
    """The parts of a path without its drive, and without the ``..`` at its beginning unless there is nothing else."""
    parts = [part for part in re.sub(r"^[A-Za-z]:", "", path).split("/") if part not in ("", ".")]
    while len(parts) > 1 and parts[0] == "..":
        parts = parts[1:]
    return parts


def _walk_folders(folder: str) -> list[str]:
    """The folders below a folder by depth, at most 1,000 and without links, hidden ones and those of the system."""
    found, level = list[str](), [folder]
    for _ in range(_MAX_DEPTH):
        inner: list[str] = []
        for outer in level:
            with contextlib.suppress(OSError), os.scandir(outer) as entries:
                names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
                inner += [os.path.join(outer, name) for name in names if not is_system_folder(name)]
            if len(found) + len(inner) >= _MAX_FOLDERS:
                return [*found, *inner][:_MAX_FOLDERS]
        found, level = [*found, *inner], inner
    return found

"""The files that the paths of a table name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

__all__ = ["ImageFinder"]


class ImageFinder:
    """Finds image files by the paths of a table: relative to one of some folders, or absolute.

    Each folder is listed once, which is much quicker than to look for each file.

    Args:
        root: The folder that results are relative to, looked in first.
        others: Further folders that paths may be relative to.
    """

    def __init__(self, root: Path, others: Sequence[Path]) -> None:
        self.root = str(root)
        self._prefixes = ["", *(f"{os.path.relpath(other, root)}/" for other in others if not _is_same(other, root))]
        self._listings: dict[str, frozenset[str]] = {}

    def find(self, path: str) -> str | None:
        """The path of an existing file relative to the root, separated by ``/``; absolute if it was; else None."""
        paths = [path, path.replace("\\", "/")] if "\\" in path else [path]
        for candidate in paths:
            for prefix in self._prefixes[:1] if candidate.startswith("/") else self._prefixes:
                name = os.path.normpath(prefix + candidate) if prefix or _is_indirect(candidate) else candidate
                folder, _, base = name.rpartition("/")
                if base in self._files(folder or ("/" if name.startswith("/") else "")):
                    return name
        return None

    def _files(self, folder: str) -> frozenset[str]:
        """The files of a folder, relative to the root."""
        listing = self._listings.get(folder)
        if listing is None:
            listing = self._listings[folder] = _list_files(os.path.join(self.root, folder))
        return listing


def _list_files(folder: str) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if _is_file(entry))
    except (OSError, ValueError):  # no such folder, or no name of one
        return frozenset()


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # links in a circle
        return False


def _is_indirect(path: str) -> bool:
    """Whether a path may be written shorter, such as ``./a.jpg``."""
    return path.startswith("./") or "/./" in path or "../" in path or "//" in path


def _is_same(a: Path, b: Path) -> bool:
    return os.path.realpath(a) == os.path.realpath(b)

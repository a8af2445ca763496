"""The files that the paths of a table name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from visionkit.data.findings import Finding
from visionkit.data.sources.foreign_paths import files_below, find_by_tail, with_slashes
from visionkit.data.sources.image_lists import ImageLists
from visionkit.text import normal_form

__all__ = ["ImageFinder"]


class ImageFinder:
    """Finds image files by the paths of a table: relative to one of some folders, or absolute.

    Each folder is listed once, which is much quicker than to look for each file.

    Args:
        root: The folder that results are relative to, looked in first.
        others: Further folders that paths may be relative to.

    Attributes:
        unread: The files that were found and are no images.
        ambiguous: The paths of other computers that fit several files, or whose file fits several paths.
    """

    def __init__(self, root: Path, others: Sequence[Path]) -> None:
        self.root = str(root)
        self._prefixes = ["", *(f"{os.path.relpath(other, root)}/" for other in others if not _is_same(other, root))]
        self._listings: dict[str, frozenset[str]] = {}
        self._found: dict[str, str] = {}
        self._lists = ImageLists(root)
        self._other_case: list[str] = []
        self.unread: frozenset[str] = frozenset()
        self.ambiguous: frozenset[str] = frozenset()

    def find(self, path: str) -> str | None:
        """The path of a file that `search` found, relative to the root and separated by ``/``; absolute if it was."""
        return self._found.get(path)

    def findings(self) -> list[Finding]:
        """The files that were found and are not read, and those whose names are written in another case."""
        return [*self._lists.findings(), *Finding.of("name-other-case", self._other_case)]

    def search(self, paths: Iterable[str]) -> None:
        """Find all files once, those of other computers by the last parts of their paths below the root."""
        distinct = list(dict.fromkeys(filter(None, paths)))
        found = list(map(self._find_as_written, distinct))
        self.unread = frozenset(name for name in set(found) if name is not None and not self._lists.is_read(name))
        self._found = {path: name for path, name in zip(distinct, found, strict=True) if name is not None}
        missing = [row for row, name in enumerate(found) if name is None]
        if missing:
            files = files_below(Path(self.root))
            counts = Counter(map(_key, files))
            clashing = {os.path.basename(key) for key, count in counts.items() if count > 1}  # a.png and a.PNG

            def key_of(name: str) -> str:
                key = _key(name)
                return name if os.path.basename(key) in clashing else key

            files = {key_of(name): file for name, file in files.items()}
            keys = [key_of(with_slashes(name)) for name in distinct]
            names, rows = find_by_tail(keys, found, files, min_relative_parts=2)
            self._found |= {distinct[row]: name for row in missing if (name := names[row]) is not None}
            self.ambiguous = frozenset(distinct[row] for row in rows)
            matched = ((keys[row], names[row], distinct[row]) for row in missing)
            self._other_case = [
                f"{name} (as {path})"
                for key, name, path in matched
                if name is not None and os.path.basename(key) != os.path.basename(key_of(name))
            ]

    def _find_as_written(self, path: str) -> str | None:
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


def _key(path: str) -> str:
    """A path in composed Unicode and with its ending in small letters, as it is compared with others."""
    stem, ending = os.path.splitext(normal_form(path))
    return stem + ending.lower()


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

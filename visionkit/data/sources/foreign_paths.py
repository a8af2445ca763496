"""Files whose paths were written in another folder or on another computer, found by the last parts of these paths."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from visionkit.data.image_files import walk_images
from visionkit.data.sources.split_names import split_of
from visionkit.text import fold_name, normal_form

__all__ = ["files_below", "find_by_name", "find_by_tail", "with_slashes"]

_MAX_PATH = 4096
_MAX_FILES = 1_000_000
_ABSOLUTE = re.compile(r"/|[A-Za-z]:/|~")


def with_slashes(path: str) -> str:
    """A path with ``/`` between its parts, whichever system wrote it, without ``file://`` and ``./`` before it."""
    plain = path.replace("\\", "/").removeprefix("file://")
    while plain.startswith("./"):
        plain = plain[2:].lstrip("/")
    return plain


def find_by_name(names: Sequence[str], files: Mapping[str, str]) -> list[str | None]:
    """The file of each name, as it is written or else in the other form of Unicode; None where there is none.

    Args:
        names: Paths from the folder that is searched, separated by ``/``.
        files: Of all images their file, by the path from that folder.
    """
    found = [files.get(name) for name in names]
    if None not in found or all(map(str.isascii, files)):
        return found
    by_form: dict[str, str] = {}
    for name, file in files.items():
        by_form.setdefault(normal_form(name), file)
    return [by_form.get(normal_form(name)) if file is None else file for name, file in zip(names, found, strict=True)]


def find_by_tail(
    paths: Sequence[str], found: Sequence[str | None], files: Mapping[str, str], *, min_relative_parts: int
) -> tuple[list[str | None], list[int]]:
    """Find the files of the paths that do not exist as they are written.

    It is the file that shares its longest tail with the path, if no other file does: ``C:\\data\\set\\cats\\1.jpg`` is
    ``cats/1.jpg``, else the only ``1.jpg``; else, likewise, ``Cats/1.JPG``, in another case. A file is not taken that
    another path names as it is, that lies in a folder of another split than the path says, or that shares its name
    alone with a path whose folder is found elsewhere.

    Args:
        paths: The paths of images, as they are written.
        found: The file of each, relative to the data set's folder or absolute; None where there is none.
        files: Of all images their file, by the path from the folder that is searched.
        min_relative_parts: The number of parts of a relative path that must fit.

    Returns:
        The file of each path, None if there is none; and the rows of those that several files fit, or whose file fits
        several paths.
    """
    matches = list(found)
    unfound = [row for row, file in enumerate(found) if file is None]
    if not unfound:
        return matches, []
    taken = set(found)
    by_tail = _FilesByTail([(name, file) for name, file in files.items() if file not in taken])
    ambiguous, by_name_alone, plain = list[int](), set[int](), [normal_form(with_slashes(path)) for path in paths]
    for row in unfound:
        min_parts = 1 if _ABSOLUTE.match(plain[row]) else min(min_relative_parts, plain[row].count("/") + 1)
        longest, match = by_tail.find(plain[row], min_parts)
        if longest is None:
            continue
        if match is None:
            ambiguous.append(row)
        elif not _differ_in_split(plain[row], match):
            matches[row] = match
            if "/" not in longest:
                by_name_alone.add(row)
    known = {_folder(plain[row]) for row, file in enumerate(matches) if file is not None and row not in by_name_alone}
    known.discard("")
    for row in by_name_alone:
        if _folder(plain[row]) in known:
            matches[row] = None
    return matches, sorted([*ambiguous, *_drop_shared(matches, unfound, plain)])


def files_below(root: Path) -> dict[str, str]:
    """The images below a folder for `find_by_tail`; none if it has more than a million, and is no data set's folder."""
    names = list(islice(walk_images(root), _MAX_FILES + 1))
    return {name: name for name in names} if len(names) <= _MAX_FILES else {}


class _FilesByTail:
    """Files by the last parts of their paths.

    Args:
        files: The path of each, and the file.
    """

    def __init__(self, files: Sequence[tuple[str, str]]) -> None:
        self._files = files
        self._of: dict[Callable[[str], str], dict[str, str | None]] = {}

    def find(self, path: str, min_parts: int) -> tuple[str | None, str | None]:
        """The longest tail of a path that a file ends in, and the file; None if several do, both None if none does.

        Names in another case are taken where more parts fit so, or where no other file fits alone.
        """
        found: list[tuple[int, bool, str, str | None]] = []
        for form in (fold_name, normal_form):
            file_of = self._by_tail(form)
            tail = next(filter(file_of.__contains__, _tails(form(path))), None)
            if tail is not None and tail.count("/") + 1 >= min_parts:
                found.append((tail.count("/"), file_of[tail] is not None, tail, file_of[tail]))
        unique = [each for each in found if each[1]]
        best = max(reversed(unique or found), key=lambda each: each[0], default=None)
        return (None, None) if best is None else (best[2], best[3])

    def _by_tail(self, form: Callable[[str], str]) -> dict[str, str | None]:
        if form not in self._of:
            found = self._of[form] = dict[str, str | None]()
            for name, file in self._files:
                for tail in _tails(form(name)):
                    found[tail] = None if tail in found else file
        return self._of[form]


def _drop_shared(matches: list[str | None], rows: Sequence[int], paths: Sequence[str]) -> list[int]:
    """Take back the matches of rows whose file another path has too; these rows."""
    path_of: dict[str, str] = {}
    shared = set[str]()
    for row in rows:
        file = matches[row]
        if file is not None and path_of.setdefault(file, paths[row]) != paths[row]:
            shared.add(file)
    dropped = [row for row in rows if matches[row] in shared]
    for row in dropped:
        matches[row] = None
    return dropped


def _differ_in_split(path: str, file: str) -> bool:
    """Whether a path and a file both lie in a folder of a split, and in none of the same."""
    splits, others = ({split for part in name.split("/")[:-1] if (split := split_of(part))} for name in (path, file))
    return bool(splits and others and not splits & others)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _tails(path: str) -> Iterator[str]:
    """The last parts of a path, the longest first: ``a/b/c``, ``b/c``, ``c``."""
    tail = path[-_MAX_PATH:].lstrip("/")
    while tail:
        yield tail
        tail = tail.partition("/")[2].lstrip("/")

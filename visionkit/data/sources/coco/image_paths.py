"""Finding the files that COCO's ``file_name`` means, below the folder of the data set, as it was written elsewhere."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from visionkit.data.sources.annotations import list_images
from visionkit.errors import UserError

__all__ = ["find_image_folder", "find_images"]

_MAX_PATH = 4096


def find_image_folder(root: Path, folders: Sequence[str], names: Sequence[str], *, split: str, file: Path) -> str:
    """The first folder that has some of the images, or else one file each of most of their base names.

    Args:
        root: The folder of the data set.
        folders: Candidates relative to the root, the likeliest first.
        names: The ``file_name`` of each image.
        split: The split, for the message.
        file: The JSON file, for the message.

    Raises:
        UserError: If there is none.
    """
    sample = [_with_slashes(name) for name in names[:: max(1, len(names) // 20)]]
    for folder in folders:
        if any(name and os.path.isfile(os.path.join(root, folder, name)) for name in sample if not os.path.isabs(name)):
            return folder
    bases = [os.path.basename(name) for name in sample]
    is_ambiguous = False
    for folder in folders:
        counts = Counter(os.path.basename(name) for name in list_images(root, folder))
        if sum(counts[base] == 1 for base in bases) > len(bases) / 2:
            return folder
        is_ambiguous |= any(counts[base] > 1 for base in bases)
    reason = " Several files below it have these names." if is_ambiguous else ""
    raise UserError(
        f"dataset.root: the images of '{file}', such as '{names[0]}', are in none of the folders "
        f"{', '.join(name or '.' for name in folders)} of '{root}'.{reason} Say where they are: "
        f"dataset.images.{split}=folder"
    )


def find_images(root: Path, folder: str, names: Sequence[str]) -> tuple[list[str | None], list[int]]:
    """The file of each image.

    A name is relative to the folder, with slashes or backslashes. One that is not found so, as it was written in
    another folder or on another computer, is the file that shares its last parts, if no other file has them.

    Args:
        root: The folder of the data set.
        folder: The folder of the images, relative to the root.
        names: The ``file_name`` of each image.

    Returns:
        The path of each image relative to the root, None if there is none; and the rows of those that several files
        fit, or whose file fits several names.
    """
    path_by_name = list_images(root, folder)
    plain = [_with_slashes(name) for name in names]
    found = [path_by_name.get(name) for name in plain]
    unfound = [row for row, path in enumerate(found) if path is None]
    if not unfound:
        return found, []
    taken = set(found)
    file_by_tail: dict[str, str | None] = {}  # None where several files end so
    for name, file in path_by_name.items():
        if file not in taken:
            for tail in _tails(name):
                file_by_tail[tail] = None if tail in file_by_tail else file
    ambiguous: list[int] = []
    name_of: dict[str, str] = {}
    for row in unfound:
        matches = (file_by_tail[tail] for tail in _tails(plain[row]) if tail in file_by_tail)
        match = next(matches, "")
        if match == "":
            continue
        if match is None:
            ambiguous.append(row)
        else:
            found[row] = match
            if name_of.setdefault(match, plain[row]) != plain[row]:
                name_of[match] = ""
    shared = [row for row in unfound if found[row] is not None and name_of[found[row] or ""] == ""]
    for row in shared:
        found[row] = None
    return found, sorted([*ambiguous, *shared])


def _with_slashes(name: str) -> str:
    plain = name.replace("\\", "/").removeprefix("file://")
    while plain.startswith("./"):
        plain = plain[2:].lstrip("/")
    return plain


def _tails(name: str) -> Iterator[str]:
    """The last parts of a path, the longest first: ``a/b/c``, ``b/c``, ``c``."""
    tail = name[-_MAX_PATH:].lstrip("/")
    while tail:
        yield tail
        tail = tail.partition("/")[2].lstrip("/")

"""Finding the files that COCO's ``file_name`` means, below the folder of the data set, as it was written elsewhere."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from visionkit.data.image_files import walk_images
from visionkit.data.sources.foreign_paths import find_by_name, find_by_tail, with_slashes
from visionkit.data.sources.image_lists import ImageLists
from visionkit.errors import UserError
from visionkit.text import normal_form

__all__ = ["FoundImages", "find_image_folder", "find_images"]


@dataclass(frozen=True)
class FoundImages:
    """The files of listed images.

    Attributes:
        paths: The path of each image relative to the root, None if there is none.
        ambiguous: The rows of those that several files fit, or whose file fits several names.
        elsewhere: The rows of those found by the last parts of their names.
    """

    paths: list[str | None]
    ambiguous: list[int]
    elsewhere: list[int]


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
    sample = [with_slashes(name) for name in names[:: max(1, len(names) // 20)]]
    for folder in folders:
        if any(name and os.path.isfile(os.path.join(root, folder, name)) for name in sample if not os.path.isabs(name)):
            return folder
    bases = [normal_form(os.path.basename(name)) for name in sample]
    is_ambiguous = False
    for folder in folders:
        counts = Counter(normal_form(os.path.basename(name)) for name in walk_images(root / folder))
        if sum(counts[base] == 1 for base in bases) > len(bases) / 2:
            return folder
        is_ambiguous |= any(counts[base] > 1 for base in bases)
    reason = " Several files below it have these names." if is_ambiguous else ""
    raise UserError(
        f"dataset.root: the images of '{file}', such as '{names[0]}', are in none of the folders "
        f"{', '.join(name or '.' for name in folders)} of '{root}'.{reason} Say where they are: "
        f"dataset.images.{split}=folder"
    )


def find_images(lists: ImageLists, folder: str, names: Sequence[str]) -> FoundImages:
    """The file of each image.

    A name is relative to the folder, with slashes or backslashes, in any form of Unicode. One that is not found so, as
    it was written in another folder or on another computer, is found as `find_by_tail` says.

    Args:
        lists: Lists the images.
        folder: The folder of the images, relative to the root.
        names: The ``file_name`` of each image.
    """
    path_by_name = lists.images(folder)
    found = find_by_name([with_slashes(name) for name in names], path_by_name)
    paths, ambiguous = find_by_tail(names, found, path_by_name, min_relative_parts=1)
    elsewhere = [row for row, path in enumerate(paths) if path is not None and found[row] is None]
    return FoundImages(paths, ambiguous, elsewhere)

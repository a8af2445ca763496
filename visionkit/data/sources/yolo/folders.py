"""Splits of a YOLO data set that no file names: folders, or lists of images, called as splits are."""

from __future__ import annotations

from pathlib import Path

from visionkit.data.sources.split_names import find_split_folders, split_of
from visionkit.data.sources.yolo.paths import FolderListings

__all__ = ["split_entries_of_folders"]


def split_entries_of_folders(root: Path, listings: FolderListings) -> tuple[dict[str, list[str]], bool]:
    """The folders or lists of each split, and whether there are any; else the whole set is ``train``.

    Looked for are lists such as ``train.txt``, folders such as ``train/`` and ``images/train/``, and ``images/``.

    Raises:
        UserError: If a split has two folders.
    """
    lists: dict[str, list[str]] = {}
    for name in listings.names(str(root)):
        split, is_list = split_of(Path(name).stem), name.lower().endswith(".txt")
        if split is not None and is_list and (root / name).is_file():
            lists.setdefault(split, []).append(str(root / name))
    if "train" in lists:
        return lists, True
    images = listings.find(str(root), "images")
    for folder in (root, *([Path(images)] if images else [])):
        found = find_split_folders(folder, allow_overlap=True)  # links are judged with all other copies
        if "train" in found:
            return {split: [str(folder / name)] for split, name in found.items()}, True
    return {"train": [images or str(root)]}, False

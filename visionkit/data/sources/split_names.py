"""The names that people give to the splits of a data set, the same for all forms."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from visionkit.data.image_files import is_image_name, is_system_folder, leads_up
from visionkit.errors import UserError

__all__ = [
    "FILL_VAL",
    "SPLIT_NAMES",
    "comes_divided",
    "find_split_folders",
    "folder_split",
    "is_folder",
    "normal_name",
    "other_folders",
    "split_in",
    "split_of",
    "sub_folders",
]

SPLIT_NAMES: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training", "trainval", "train_set", "training_set", "trainset", "seg_train"),
    "val": ("val", "valid", "validation", "dev", "val_set", "validation_set", "valset", "seg_val"),
    "test": ("test", "testing", "test_set", "testing_set", "testset", "seg_test"),
}

FILL_VAL = "Fill it, or remove val and let visionkit hold images out of train."
"""What to do about a split val without images."""

_FILLERS = frozenset(
    {
        *("data", "dataset", "set", "split", "folder", "dir", "part", "subset", "final"),
        *("image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "sample", "samples", "file"),
        *("files", "frames"),
    }
)

_PLAIN_NAME = re.compile(r"[A-Za-z\d _.-]+")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


def split_of(name: str) -> str | None:
    """The split that a folder, a key or a word of a file's name stands for, in any case; None if it is none."""
    word = normal_name(name)
    return next((split for split, names in SPLIT_NAMES.items() if word in names), None)


def folder_split(name: str) -> str | None:
    """The split that a folder's name stands for: as `split_of`, or with a number or a word like ``data`` beside it.

    ``train2017``, ``train_data``, ``ValImages`` and ``images-test`` are splits; ``train_station`` is none.
    """
    exact = split_of(name)
    if exact is not None:
        return exact
    if not _PLAIN_NAME.fullmatch(name):
        return None
    words = [word.lower() for word in _WORD.findall(name)]
    splits = [split_of(word) for word in words if word not in _FILLERS and not word.isdigit()]
    return splits[0] if len(splits) == 1 else None


def split_in(text: str) -> str | None:
    """The split that a word of a file's name stands for, such as ``instances_val2017``; None if none does.

    Words end where letters end: ``valves`` and ``contrain`` hold no split.
    """
    words = re.findall(r"[^\W\d_]+", text)
    return next(filter(None, map(split_of, words)), None)


def find_split_folders(folder: Path, *, allow_overlap: bool = False) -> dict[str, str]:
    """The sub-folders that are splits, relative to the folder, separated by ``/``.

    A split that holds nothing but a folder of its own name, as archives unpack, is that folder: ``train/train``. A
    folder ``trainval`` or ``train_data`` beside one of ``train`` is no split of its own.

    Args:
        folder: The folder.
        allow_overlap: Whether two splits may be one folder.

    Raises:
        UserError: If a split has two folders, or two splits share one.
    """
    names = sub_folders(folder)
    if list(map(split_of, names)).count("train") > 1:
        names = [name for name in names if normal_name(name) != "trainval"]
    exact = set(map(split_of, names))
    found: dict[str, str] = {}
    for name in names:
        split = folder_split(name)
        if split is None or (split in exact and split_of(name) is None):
            continue
        if split in found:
            raise UserError(
                f"dataset.root: '{folder}' has two folders for one split, {found[split]} and {name}. Keep one of them."
            )
        inner = sub_folders(folder / name)
        is_doubled = len(inner) == 1 and folder_split(inner[0]) == split and not _holds_files(folder / name)
        found[split] = f"{name}/{inner[0]}" if is_doubled else name
    found = {split: found[split] for split in SPLIT_NAMES if split in found}
    if not allow_overlap:
        _check_distinct(folder, found)
    return found


def other_folders(folder: Path, split_folders: Iterable[str]) -> list[str]:
    """The sub-folders that are no splits and hold something, of a folder with splits as `find_split_folders`."""
    used = {name.split("/")[0] for name in split_folders}
    return [name for name in sub_folders(folder) if name not in used and any((folder / name).iterdir())]


def comes_divided(splits: Mapping[str, Sequence[str]], *, is_named: bool) -> bool:
    """Whether a data set came divided, so that only a missing val is held out of train, and no test is made.

    It did if it has several splits, if a file, a key or a column calls its images those of train, or if all of them lie
    in a folder that is called like a split.

    Args:
        splits: The paths of each split's images, separated by ``/``.
        is_named: Whether what describes the data set names its splits.
    """
    return is_named or len(splits) > 1 or all(map(_lie_in_split_folder, splits.values()))


def sub_folders(folder: Path) -> list[str]:
    """The sorted names of a folder's sub-folders, without hidden ones and those of the system.

    Raises:
        UserError: If the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if is_folder(entry) and not is_system_folder(entry.name))
    except OSError as error:
        raise UserError(
            f"dataset.root: the folder '{folder}' cannot be read: {error.strerror}. Expected a folder that may be "
            "listed. Change its permissions, or move it elsewhere."
        ) from None


def normal_name(name: str) -> str:
    """A name as `SPLIT_NAMES` spells it: small letters, and ``_`` for spaces and hyphens."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, and no link to one above it or in a circle."""
    try:
        return entry.is_dir() and not (entry.is_symlink() and leads_up(entry.path))
    except OSError:  # links in a circle
        return False


def _lie_in_split_folder(names: Sequence[str]) -> bool:
    """Whether all files lie below one folder, not an absolute one, that is called like a split."""
    folders = {name.rpartition("/")[0] for name in names}
    if not folders or any(map(os.path.isabs, folders)):
        return False
    return any(map(split_of, os.path.commonpath(folders).split(os.sep)))


def _holds_files(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(is_image_name(entry.name) for entry in entries)


def _check_distinct(folder: Path, found: Mapping[str, str]) -> None:
    split_by_path: dict[str, str] = {}
    for split, name in found.items():
        other = split_by_path.setdefault(os.path.realpath(folder / name), split)
        if other != split:
            raise UserError(
                f"dataset.root: '{folder / found[other]}' and '{folder / name}' are one and the same folder, but "
                f"{split} must not overlap with another split. Remove the link, or accept it: "
                "dataset.allow_overlap=true"
            )

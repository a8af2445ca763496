"""The splits, classes and files of a folder with one sub-folder of images per class."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from visionkit.data.image_files import is_image_name, walk_images
from visionkit.errors import UserError, did_you_mean

__all__ = ["Layout", "SPLIT_FOLDERS", "check_class_names", "find_layout", "list_classes"]

SPLIT_FOLDERS: Mapping[str, tuple[str, ...]] = {
    "train": ("train",),
    "val": ("val", "valid", "validation"),
    "test": ("test",),
}


@dataclass(frozen=True)
class Layout:
    """The splits of a folder.

    Attributes:
        root: The folder.
        split_folders: The folder of each split, relative to the root; ``{"train": ""}`` if the root itself holds the
            class folders.
    """

    root: Path
    split_folders: Mapping[str, str]

    def path(self, split: str) -> Path:
        """The folder that holds a split's class folders."""
        return self.root / self.split_folders[split]

    def list_files(self, split: str, class_folder: str, *, limit: int | None = None) -> list[str]:
        """The images of one class, sorted, as paths relative to the root, separated by ``/``; at most ``limit``."""
        prefix = "/".join(part for part in (self.split_folders[split], class_folder) if part)
        return [f"{prefix}/{name}" for name in sorted(islice(walk_images(self.root / prefix), limit))]


def find_layout(root: Path) -> Layout:
    """Find out whether a folder holds splits or classes.

    Raises:
        UserError: If there is a validation or test folder without a training folder, a split has two folders, or two
            splits share one.
    """
    folders = set(_sub_folders(root))
    split_folders: dict[str, str] = {}
    for split, names in SPLIT_FOLDERS.items():
        matching = [name for name in names if name in folders]
        if len(matching) > 1:
            raise UserError(
                f"dataset.root: '{root}' has two folders for one split, {' and '.join(matching)}. Keep one of them."
            )
        if matching:
            split_folders[split] = matching[0]
    if not _has_splits(root, folders, split_folders):
        return Layout(root, {"train": ""})
    if "train" not in split_folders:
        raise UserError(
            f"dataset.root: '{root}' has {' and '.join(split_folders.values())} but no 'train' folder. Expected "
            "train/CLASS/, val/CLASS/ and test/CLASS/, or CLASS/ alone."
        )
    real_paths: dict[str, str] = {}
    for split, name in split_folders.items():
        real_path = os.path.realpath(root / name)
        if real_path in real_paths:
            raise UserError(
                f"dataset.root: '{root / name}' and '{root / real_paths[real_path]}' are one and the same folder, but "
                f"{split} must not overlap with another split. Remove the link."
            )
        real_paths[real_path] = name
    return Layout(root, split_folders)


def list_classes(folder: Path, *, strict: bool) -> tuple[list[str], list[str]]:
    """The class folders with images, and those without.

    Args:
        folder: The folder that holds the class folders.
        strict: Whether an empty class folder is an error.

    Returns:
        Two sorted lists of folder names.

    Raises:
        UserError: If there are no class folders, or an empty one and ``strict`` is set.
    """
    names = sorted(_sub_folders(folder))
    if not names:
        num_loose = sum(is_image_name(name) for name in os.listdir(folder))
        found = f"{num_loose} images that lie in no sub-folder" if num_loose else "no sub-folders"
        raise UserError(
            f"dataset.root: '{folder}' should hold one sub-folder of images per class; found {found}. "
            f"Expected '{folder}/CLASS/image.jpg'."
        )
    empty = [name for name in names if next(walk_images(folder / name), None) is None]
    if empty and strict:
        raise UserError(
            f"dataset.root: no images in the class folder '{folder / empty[0]}'"
            f"{f' and {len(empty) - 1} more' if len(empty) > 1 else ''}. Fill or remove it, "
            "or leave it out: strict=false"
        )
    return [name for name in names if name not in set(empty)], empty


def check_class_names(classes: list[str], train_classes: list[str], *, folder: Path) -> None:
    """Check that a split has no class that the training split lacks.

    Raises:
        UserError: If it has; the message names the classes and the nearest training class.
    """
    unknown = [name for name in classes if name not in set(train_classes)]
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise UserError(
            f"dataset.root: '{folder}' has classes that train lacks: {', '.join(unknown[:5])}{more}."
            f"{did_you_mean(unknown[0], train_classes)} Expected the {len(train_classes)} classes of train, spelled "
            "alike. Rename or remove those folders, or add training images."
        )


def _sub_folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith((".", "__MACOSX"))]


def _has_splits(root: Path, folders: set[str], split_folders: Mapping[str, str]) -> bool:
    """Whether folders are splits: a class may be called 'train', with images inside and other classes next to it."""
    if not split_folders:
        return False
    if any(_sub_folders(root / name) for name in split_folders.values()):
        return True
    return folders == set(split_folders.values())

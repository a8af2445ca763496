"""The splits and classes of a folder with one sub-folder of images per class."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from visionkit.data.image_files import is_image_name, scan_images
from visionkit.data.sources.split_names import find_split_folders, other_folders, split_of, sub_folders
from visionkit.errors import UserError, did_you_mean

__all__ = ["Layout", "check_class_names", "class_folders", "count_images", "find_layout"]


@dataclass(frozen=True)
class Layout:
    """The splits of a folder.

    Attributes:
        root: The folder.
        split_folders: The folder of each split, relative to the root; ``{"train": ""}`` if the root itself holds the
            class folders.
        other_folders: The folders beside those of the splits, relative to the root, which are not read.
    """

    root: Path
    split_folders: Mapping[str, str]
    other_folders: Sequence[str] = ()

    @property
    def is_divided(self) -> bool:
        """Whether there are folders of splits."""
        return self.split_folders["train"] != ""

    def path(self, split: str) -> Path:
        """The folder that holds a split's class folders."""
        return self.root / self.split_folders[split]

    def class_folder(self, split: str, name: str) -> bytes:
        """The folder of a class, relative to the root, ending in ``/``."""
        prefix = self.split_folders[split]
        return os.fsencode(f"{prefix}/{name}/" if prefix else f"{name}/")


def find_layout(root: Path, *, allow_overlap: bool = False) -> Layout:
    """Find out whether a folder holds splits or classes; a folder that holds one folder alone is read as that one.

    Args:
        root: The folder.
        allow_overlap: Whether two splits may be one folder.

    Raises:
        UserError: If there is a validation or test folder without a training folder, a split has two folders, or two
            splits share one.
    """
    folders = sub_folders(root)
    if len(folders) == 1 and split_of(folders[0]) is None and sub_folders(root / folders[0]) and not _num_loose(root):
        root = root / folders[0]
        folders = sub_folders(root)
    if not _has_splits(root, folders):
        return Layout(root, {"train": ""})
    split_folders = find_split_folders(root, allow_overlap=allow_overlap)
    if "train" not in split_folders:
        raise UserError(
            f"dataset.root: '{root}' has {' and '.join(split_folders.values())} but no 'train' folder. Expected "
            "train/CLASS/, val/CLASS/ and test/CLASS/, or CLASS/ alone."
        )
    return Layout(root, split_folders, other_folders(root, split_folders.values()))


def count_images(layout: Layout, split: str, *, limit: int) -> dict[str, int]:
    """The number of images of each class folder of a split, at most ``limit``.

    Raises:
        UserError: If there are no class folders.
    """
    root, names = os.fsencode(layout.root), class_folders(layout.path(split))
    return {name: sum(1 for _ in islice(scan_images(root, layout.class_folder(split, name)), limit)) for name in names}


def class_folders(folder: Path) -> list[str]:
    """The sorted names of the class folders in a folder.

    Raises:
        UserError: If there are none.
    """
    names = sub_folders(folder)
    if not names:
        num_loose = _num_loose(folder)
        found = f"{num_loose} images that lie in no sub-folder" if num_loose else "no sub-folders"
        raise UserError(
            f"dataset.root: '{folder}' should hold one sub-folder of images per class; found {found}. "
            f"Expected '{folder}/CLASS/image.jpg'."
        )
    return names


def check_class_names(classes: Sequence[str], train_classes: Sequence[str], *, folder: Path) -> None:
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


def _has_splits(root: Path, folders: Sequence[str]) -> bool:
    """Whether folders are splits: a class may be called 'train', with images inside and other classes next to it."""
    splits = [name for name in folders if split_of(name)]
    return bool(splits) and (len(splits) == len(folders) or any(sub_folders(root / name) for name in splits))


def _num_loose(folder: Path) -> int:
    return sum(is_image_name(name) for name in os.listdir(folder))

"""The splits and classes of a folder with one sub-folder of images per class."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from visionkit.data.findings import Finding
from visionkit.data.image_files import is_image_name, is_system_folder, scan_images
from visionkit.data.sources.recognize import is_structure_name
from visionkit.data.sources.split_names import (
    FILL_VAL,
    find_split_folders,
    folder_split,
    is_folder,
    other_folders,
    split_of,
    sub_folders,
)
from visionkit.errors import UserError, did_you_mean
from visionkit.text import normal_form

__all__ = ["Layout", "check_class_names", "class_folders", "count_images", "find_layout"]

_MAX_WRAPPERS = 3
_MAX_CLASSES, _MAX_ENTRIES = 100, 50
_UNKNOWN = frozenset({"unknown", "unlabeled", "unlabelled", "all", "none", "0"})
_FORM_FOLDERS = frozenset({"jpegimages", "imagesets", "leftimg8bit", "gtfine", "segmentationclass"})


@dataclass(frozen=True)
class Layout:
    """The splits of a folder.

    Attributes:
        root: The folder.
        split_folders: The folder of each split, relative to the root; ``{"train": ""}`` if the root itself holds the
            class folders.
        other_folders: The folders beside those of the splits, relative to the root, which are not read.
        findings: What is not read, beside these folders and in them.
    """

    root: Path
    split_folders: Mapping[str, str]
    other_folders: Sequence[str] = ()
    findings: Sequence[Finding] = ()

    @property
    def is_divided(self) -> bool:
        """Whether there are folders of splits."""
        return self.split_folders["train"] != ""

    def path(self, split: str) -> Path:
        """The folder that holds a split's class folders."""
        return self.root / self.split_folders[split]

    def class_folder(self, split: str, name: str) -> bytes:
        """A folder of a class by its name on disk, relative to the root, ending in ``/``."""
        prefix = self.split_folders[split]
        return os.fsencode(f"{prefix}/{name}/" if prefix else f"{name}/")


def find_layout(root: Path, *, allow_overlap: bool = False) -> Layout:
    """Find out whether a folder holds splits or classes; a folder that holds one folder alone is read as that one.

    Args:
        root: The folder.
        allow_overlap: Whether two splits may be one folder.

    Raises:
        UserError: If there is a validation or test folder without a training folder, a split has two folders, two
            splits share one, or what should be classes hold splits or parts of data sets.
    """
    folders = sub_folders(root)
    for _ in range(_MAX_WRAPPERS):
        is_wrapper = len(folders) == 1 and folder_split(folders[0]) is None and not _num_loose(root)
        inner = sub_folders(root / folders[0]) if is_wrapper else []
        if not inner:
            break
        root, folders = root / folders[0], inner
    if not _has_splits(root, folders):
        _check_inner_folders(root, folders)
        return Layout(root, {"train": ""})
    split_folders = find_split_folders(root, allow_overlap=allow_overlap)
    if "train" not in split_folders:
        raise UserError(
            f"dataset.root: '{root}' has {' and '.join(split_folders.values())} but no 'train' folder. Expected "
            "train/CLASS/, val/CLASS/ and test/CLASS/, or CLASS/ alone."
        )
    others = other_folders(root, split_folders.values())
    findings = Finding.of("folder-no-split", others)
    findings += Finding.of("image-no-split", sorted(filter(is_image_name, os.listdir(root))))
    if "test" in split_folders:
        unlabelled = _unlabelled_test(root, split_folders)
        findings += unlabelled
        split_folders = {split: name for split, name in split_folders.items() if split != "test" or not unlabelled}
    return Layout(root, split_folders, others, findings)


def count_images(layout: Layout, split: str, *, limit: int) -> dict[str, int]:
    """The number of images of each class folder of a split, at most ``limit``.

    Raises:
        UserError: If there are no class folders.
    """
    root = os.fsencode(layout.root)
    counts: dict[str, int] = {}
    for name, folders in class_folders(layout.path(split)).items():
        images = (scan_images(root, layout.class_folder(split, folder)) for folder in folders)
        counts[name] = sum(1 for _ in islice(chain.from_iterable(images), limit))
    return counts


def class_folders(folder: Path) -> dict[str, list[str]]:
    """The sorted names of the classes in a folder, in composed Unicode, and the folders of each: one, rarely two.

    Raises:
        UserError: If there are none.
    """
    names = sub_folders(folder)
    if not names:
        num_loose = _num_loose(folder)
        advice = f" {FILL_VAL}" if not num_loose and split_of(folder.name) == "val" else ""
        found = f"{num_loose} images that lie in no sub-folder" if num_loose else "no sub-folders"
        raise UserError(
            f"dataset.root: '{folder}' should hold one sub-folder of images per class; found {found}. "
            f"Expected '{folder}/CLASS/image.jpg'.{advice}"
        )
    classes: dict[str, list[str]] = {}
    for name in names:
        classes.setdefault(normal_form(name), []).append(name)
    return dict(sorted(classes.items()))


def check_class_names(classes: Sequence[str], train_classes: Sequence[str], *, folder: Path) -> None:
    """Check that a split has no class that the training split lacks.

    Raises:
        UserError: If it has; the message names the classes and the nearest training class.
    """
    known = set(train_classes)
    unknown = [name for name in classes if name not in known]
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise UserError(
            f"dataset.root: '{folder}' has classes that train lacks: {', '.join(unknown[:5])}{more}."
            f"{did_you_mean(unknown[0], train_classes)} Expected the {len(train_classes)} classes of train, spelled "
            "alike. Rename or remove those folders, or add training images."
        )


def _has_splits(root: Path, folders: Sequence[str]) -> bool:
    """Whether folders are splits: a class may be called 'train', with images inside and other classes next to it."""
    splits = [name for name in folders if folder_split(name)]
    return bool(splits) and (len(splits) == len(folders) or any(sub_folders(root / name) for name in splits))


def _check_inner_folders(root: Path, classes: Sequence[str]) -> None:
    """Check that class folders hold no folders of splits, which would be poured together, and no parts of data sets.

    A few entries of a few folders are looked at.

    Raises:
        UserError: If one does.
    """
    for name in classes[:_MAX_CLASSES]:
        inner = _first_folders(root / name)
        splits = [folder for folder in inner if split_of(folder)]
        if len(set(map(split_of, splits))) > 1:
            raise UserError(
                f"dataset.root: in '{root}' the folders of splits lie in those of classes, such as "
                f"{' and '.join(f'{name}/{split}' for split in splits[:3])}, so that they would be poured together. "
                f"Expected train/CLASS/, val/CLASS/ and test/CLASS/, such as {splits[-1]}/{name}. Move them. If "
                f"'{name}' is a data set of its own: dataset.root={root / name}"
            )
        parts = [folder for folder in inner if is_structure_name(folder)]
        if len(parts) > 1 or any(part.lower() in _FORM_FOLDERS for part in parts):
            raise UserError(
                f"dataset.root: '{root / name}' is no folder of a class: it holds "
                f"{' and '.join(parts[:3])}, the parts of a data set. Expected CLASS/ with images in it. Try: "
                f"dataset.root={root / name} with the data set of this form, such as dataset=voc or dataset=masks"
            )


def _first_folders(folder: Path) -> list[str]:
    """The sorted names of the folders among the first entries of a folder; none if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, _MAX_ENTRIES) if is_folder(entry)]
    except OSError:
        return []
    return sorted(name for name in names if not is_system_folder(name))


def _unlabelled_test(root: Path, split_folders: Mapping[str, str]) -> list[Finding]:
    """That test has no classes, as where its answers are kept secret, or no images; nothing if it has both."""
    prefix = f"{split_folders['test']}/"
    folders = sub_folders(root / prefix)
    unknown = len(folders) == 1 and (folders[0].lower() in _UNKNOWN or is_structure_name(folders[0]))
    if len(folders) > 1 or (folders and not (unknown and folders[0] not in sub_folders(root / split_folders["train"]))):
        images = scan_images(os.fsencode(root), os.fsencode(prefix))
        return [] if next(images, None) is not None else Finding.of("split-empty", [prefix], split="test")
    names = sorted(os.fsdecode(name) for name, _ in scan_images(os.fsencode(root), os.fsencode(prefix)))
    return Finding.of("test-no-class", names) or Finding.of("split-empty", [prefix], split="test")


def _num_loose(folder: Path) -> int:
    return sum(is_image_name(name) for name in os.listdir(folder))

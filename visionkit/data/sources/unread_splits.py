"""Folders that are called like splits, and of which a reader of annotation files has read nothing."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.data.findings import Finding
from visionkit.data.image_files import walk_images
from visionkit.data.sources.split_names import FILL_VAL, folder_split, sub_folders
from visionkit.errors import UserError

if TYPE_CHECKING:
    from visionkit.data.sources.annotations import ParsedDataset

__all__ = ["find_unread_splits", "image_folders"]


def image_folders(parsed: ParsedDataset[Any]) -> set[str]:
    """The folders of the images that are read, relative to the root."""
    return {os.path.dirname(name) for images in parsed.splits.values() for name in images.names}


def find_unread_splits(
    parsed: ParsedDataset[Any], folders: Iterable[str], *, code: str, expected: str
) -> list[Finding]:
    """Findings on folders of splits beside those that are read: with images that are left out, or without any.

    Args:
        parsed: The data set. A split of which it says that it is left out is passed over.
        folders: The folders that are read, relative to the root; others are passed over.
        code: The finding for images.
        expected: What such a folder should hold, for the message.

    Raises:
        UserError: If val has a folder without an image, and none that is read.
    """
    root, images, empty = parsed.root, list[str](), list[str]()
    left_out = {
        folder_split(place.partition(":")[0])
        for finding in parsed.findings
        if finding.code == "split-left-out"
        for place in finding.places
    }
    for folder in _unread(root, {folder for folder in folders if not folder.startswith(("/", ".."))}):
        split = folder_split(os.path.basename(folder))
        if split in left_out:
            continue
        inside = sorted(walk_images(root / folder))
        images += (f"{folder}/{image}" for image in inside)
        if inside or split in parsed.splits:
            continue
        if split == "val":
            raise UserError(f"dataset.root: no images in '{root / folder}'. Expected {expected}. {FILL_VAL}")
        empty += [folder] if split == "test" else []
    return [*Finding.of(code, images), *Finding.of("split-empty", empty, split="test")]


def _unread(root: Path, folders: Collection[str]) -> list[str]:
    """The folders of splits that are read in no part, in the root and beside the folders of splits that are read."""
    parents, used = {""}, set[str]()
    for folder in folders:
        parts = folder.split("/")
        parents |= {"/".join(parts[:i]) for i, part in enumerate(parts) if folder_split(part)}
        used |= {"/".join(parts[: i + 1]) for i in range(len(parts))}
    inner = [
        f"{parent}/{name}" if parent else name for parent in sorted(parents) for name in sub_folders(root / parent)
    ]
    return [name for name in inner if name not in used and folder_split(os.path.basename(name))]

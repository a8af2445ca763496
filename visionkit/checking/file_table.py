"""Which image files there are, of the splits and beside them, and what is seen of each."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy

from visionkit.checking.data_set import DataSet, FileTable, split_files
from visionkit.checking.file_record import RECORD
from visionkit.checking.folder_tree import list_tree
from visionkit.data.image_files import is_image_name

__all__ = ["list_files"]


def list_files(data: DataSet, *, advance: Callable[[int], Any] = lambda count: None) -> DataSet:
    """The data set with its image files, not looked at yet, and with all that lies below its folder.

    Args:
        data: The data set.
        advance: Told of files as they are listed.
    """
    root = data.root
    if root is None or not root.is_dir():
        return data
    tree = list_tree(root, advance=advance)
    names, splits, seen = list[bytes](), list[int](), set[bytes]()
    top = os.fsencode(root)
    for split, files, samples in split_files(data):
        inner = _relative(os.fsencode(samples.root), top)
        of_split = [os.path.normpath(os.path.join(inner, name)) for name in files.tolist()]
        names += of_split
        splits += [split] * len(of_split)
        seen.update(of_split)
    masks = _mask_names(data, top)
    others = sorted(name for name in tree.files if name not in seen and name not in masks and _is_picture(name))
    names += others
    splits += [-1] * len(others)
    table = FileTable(
        root, numpy.array(names or [b""], dtype=numpy.bytes_)[: len(names)], numpy.array(splits, dtype=numpy.int8),
        numpy.zeros(len(names), RECORD),
    )  # fmt: skip
    return replace(data, tree=tree, files=table)


def _relative(folder: bytes, top: bytes) -> bytes:
    """The folder of a split relative to the root, or as it is where it lies elsewhere."""
    relative = os.path.relpath(folder, top)
    return os.path.abspath(folder) if relative.startswith(b"..") else relative


def _mask_names(data: DataSet, top: bytes) -> set[bytes]:
    from visionkit.data.class_masks import MaskFiles

    found = set[bytes]()
    for samples in data.splits.values():
        if isinstance(samples.masks, MaskFiles):
            inner = _relative(os.fsencode(samples.masks.root), top)
            found.update(os.path.normpath(os.path.join(inner, name)) for name in samples.masks.names.tolist())
    return found


def _is_picture(name: bytes) -> bool:
    return is_image_name(os.fsdecode(name)) or Path(os.fsdecode(name)).suffix.lower() in (".heic", ".heif", ".avif")

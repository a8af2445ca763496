"""All images of one split of an image folder, listed once; names are arrays of bytes, so that a million fit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.data.image_files import LeftOut, is_image_name, scan_images
from visionkit.data.sources.folder.layout import Layout, class_folders

__all__ = ["SplitScan", "scan_split"]


@dataclass(frozen=True)
class SplitScan:
    """The images of a split.

    Attributes:
        names: bytes (N,), paths relative to the root, separated by ``/``, sorted within each class.
        inodes: uint64 (N,), of each image.
        classes: The sorted names of the classes with images, in composed Unicode.
        sizes: The number of images of each class, in the order of ``names``.
        empty: The class folders without images, relative to the root.
        loose: The images that lie in no class folder, relative to the root.
    """

    names: NDArray[numpy.bytes_]
    inodes: NDArray[Any]
    classes: Sequence[str]
    sizes: Sequence[int]
    empty: Sequence[str]
    loose: Sequence[str]

    def select(self, kept: NDArray[Any]) -> SplitScan:
        """The images of these rows, bool (N,), and the classes that have some left."""
        number = numpy.repeat(numpy.arange(len(self.classes)), self.sizes)[kept]
        counts = numpy.bincount(number, minlength=len(self.classes)).tolist()
        left = [row for row, count in enumerate(counts) if count]
        return replace(
            self, names=self.names[kept], inodes=self.inodes[kept], classes=[self.classes[row] for row in left],
            sizes=[counts[row] for row in left],
        )  # fmt: skip

    def labels(self, classes: Sequence[str]) -> NDArray[Any]:
        """The class id of each image, int64 (N,), where these are the names of the classes."""
        id_of = {name: number for number, name in enumerate(classes)}
        return numpy.repeat(numpy.array([id_of[name] for name in self.classes], dtype=numpy.int64), self.sizes)


def scan_split(layout: Layout, split: str, left_out: LeftOut) -> SplitScan:
    """List the images of a split.

    Args:
        layout: The splits of the folder.
        split: The name of the split.
        left_out: Receives what is no image.

    Raises:
        UserError: If there are no class folders, or a folder cannot be read.
    """
    root, folder = os.fsencode(layout.root), layout.path(split)
    names, inodes = [numpy.empty(0, dtype=numpy.bytes_)], [numpy.empty(0, dtype=numpy.uint64)]
    classes, sizes, empty = [], [], []
    for class_name, class_folder_names in class_folders(folder).items():
        paths = [layout.class_folder(split, name) for name in class_folder_names]
        found = dict(chain.from_iterable(scan_images(root, path, left_out) for path in paths))
        if not found:
            empty += [os.fsdecode(path).rstrip("/") for path in paths]
            continue
        ordered = sorted(found)
        names.append(numpy.array(ordered, dtype=numpy.bytes_))
        inodes.append(numpy.fromiter(map(found.__getitem__, ordered), dtype=numpy.uint64, count=len(ordered)))
        classes.append(class_name)
        sizes.append(len(ordered))
    prefix = layout.split_folders[split]
    loose = [f"{prefix}/{name}" if prefix else name for name in sorted(os.listdir(folder)) if is_image_name(name)]
    return SplitScan(numpy.concatenate(names), numpy.concatenate(inodes), classes, sizes, empty, loose)

"""Findings of images that turned out to be unreadable when they were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from visionkit.data.collate.base import BatchReader
from visionkit.data.findings import Finding

__all__ = ["late_findings"]


def late_findings(
    splits: Sequence[str],
    dropped: Mapping[str, Sequence[tuple[str, str]]],
    readers: Mapping[str, BatchReader],
    *,
    is_training: bool,
) -> list[Finding]:
    """What could not be read, split by split.

    Args:
        splits: The names of the splits.
        dropped: Code and name of the images that were left out while all were decoded, by split.
        readers: The readers that have marked what they could not read, by split.
        is_training: Whether the training split was read for a training, in which others replace such images.
    """
    findings = list[Finding]()
    for split in splits:
        of_split = dropped.get(split, [])
        for code in dict.fromkeys(code for code, _ in of_split):
            findings += Finding.of(code, [name for other, name in of_split if other == code], split=split)
        reader = readers.get(split)
        if reader is not None:
            late = ("item-failed", "item-replaced"), ("image-unreadable", "image-replaced")
            code = late[not reader.samples.of_items][split == "train" and is_training]
            names = [reader.samples.name(int(index)) for index in reader.unreadable.nonzero()]
            findings += Finding.of(code, names, split=split)
    return findings

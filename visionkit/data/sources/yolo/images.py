"""The images of a YOLO data set's splits: those in folders, and those that lists name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from visionkit.data.findings import Finding
from visionkit.data.image_files import is_image_name
from visionkit.data.sources.foreign_paths import files_below, find_by_tail
from visionkit.data.sources.image_lists import ImageLists
from visionkit.data.sources.split_names import FILL_VAL
from visionkit.data.sources.yolo.definition import Definition
from visionkit.errors import UserError
from visionkit.files import read_text

__all__ = ["SplitImages"]

_OWN_ENDINGS = frozenset({".txt", ".yaml", ".yml", ".names", ".data", ".labels", ".cache"})


class SplitImages:
    """Finds the images of each split.

    Args:
        definition: The splits.
    """

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._lists = ImageLists(definition.root, own_endings=_OWN_ENDINGS)

    def find(self, split: str, findings: list[Finding]) -> list[str]:
        """The absolute paths of a split's existing images, sorted; none for a test split without any, which is said.

        Args:
            split: The split.
            findings: A list to which listed images are appended that do not exist.

        Raises:
            UserError: If there are none, but for test, or a folder or a list cannot be read.
        """
        entries = self._definition.split_entries[split]
        images, lines, listed = set[str](), list[str](), list[str]()
        for entry in entries:
            if os.path.isdir(entry):
                images.update(os.path.normpath(path) for path in self._lists.images(entry).values())
            elif is_image_name(entry):
                images.add(entry)
            else:
                beside = self._definition.finder.beside(os.path.dirname(entry))
                lines += (lines_of_list := _read_list(entry))
                listed += map(beside.find_listed, lines_of_list)
        images.update(self._existing(split, lines, listed, findings))
        if not images and split == "test":
            findings += Finding.of("split-left-out", [f"test: no images in {entries[0]}"])
        elif not images:
            details = "".join(f" {finding.note}. {finding.remedy}" for finding in self.findings())
            advice = f" {FILL_VAL}" if split == "val" else ""
            raise UserError(
                f"dataset.root: no images in '{entries[0]}', where the images of {split} should be.{details} "
                f"Expected a folder of images, or a text file with one image path per line.{advice}"
            )
        return sorted(images)

    def findings(self) -> list[Finding]:
        """What lies among the images, or is listed, and is not read."""
        return self._lists.findings()

    def _existing(
        self, split: str, lines: Sequence[str], listed: Sequence[str], findings: list[Finding]
    ) -> Iterator[str]:
        """The images that lists name, those of other computers found by the last parts of their paths."""
        found: list[str | None] = [path if os.path.isfile(path) else None for path in listed]
        ambiguous = set[int]()
        if None in found:
            root = self._definition.root
            files = {name: os.path.join(root, *name.split("/")) for name in files_below(root)}
            exact = found
            found, rows = find_by_tail([line.strip("\"'") for line in lines], found, files, min_relative_parts=2)
            ambiguous = set(rows)
            elsewhere = [row for row, path in enumerate(found) if path is not None and exact[row] is None]
            findings += Finding.of("image-found-elsewhere", list(dict.fromkeys(lines[row] for row in elsewhere)))
        missing = [row for row, path in enumerate(found) if path is None]
        for code, is_ambiguous in (("image-listed-missing", False), ("image-ambiguous", True)):
            places = dict.fromkeys(listed[row] for row in missing if (row in ambiguous) == is_ambiguous)
            findings += Finding.of(code, list(places), **({} if is_ambiguous else {"split": split}))
        return (path for path in found if path is not None and self._lists.is_read(path))


def _read_list(file: str) -> list[str]:
    """The lines of a list, without empty ones."""
    try:
        lines = [line.strip() for line in read_text(file).splitlines()]
    except (OSError, UnicodeError) as error:
        raise UserError(f"dataset.file: the list '{file}' cannot be read: {error}. Expected one path a line.") from None
    return [line for line in lines if line]

"""Exports without a YAML file: darknet's ``obj.data``, or class names in ``obj.names`` or ``classes.txt`` alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from visionkit.data.findings import Finding
from visionkit.data.sources.split_names import split_of
from visionkit.data.sources.yolo.definition import Definition
from visionkit.data.sources.yolo.folders import split_entries_of_folders
from visionkit.data.sources.yolo.label_files import CLASS_FILES
from visionkit.data.sources.yolo.paths import FolderListings, PathFinder
from visionkit.errors import UserError
from visionkit.files import read_text
from visionkit.schema import quote
from visionkit.text import normal_form

__all__ = ["find_darknet_files", "read_darknet_definition"]

_MAX_BYTES = 1024**2


def find_darknet_files(root: Path, listings: FolderListings) -> list[Path]:
    """The files that describe a data set without a YAML file: ``.data``, else those with class names."""
    finder = PathFinder([root], listings)
    folders = [str(root), *finder.inner_folders]
    files = [os.path.join(folder, name) for folder in folders for name in listings.names(folder)]
    data = [file for file in files if file.lower().endswith(".data")]
    named = [file for file in files if file.lower().endswith(".names") or os.path.basename(file).lower() in CLASS_FILES]
    return [Path(file) for file in data or named if os.path.isfile(file)]


def read_darknet_definition(root: Path, files: Sequence[Path], listings: FolderListings) -> Definition:
    """What darknet's files say.

    Args:
        root: The data set's folder, absolute.
        files: As `find_darknet_files`.
        listings: The listings of folders.

    Raises:
        UserError: If there are several that differ, a file cannot be read, or it names what does not exist.
    """
    finder = PathFinder([root, files[0].parent], listings)
    split_entries: dict[str, list[str]] = {}
    findings: list[Finding] = []
    if files[0].suffix.lower() == ".data":
        values = _read_data_file(files[0])
        for key in values:
            split = split_of(key)
            if split == "test" and finder.find(values[key]) is None:
                place = f"{key} = {quote(values[key])[1:-1]} of {files[0].name}, which does not exist"
                findings += Finding.of("split-left-out", [place])
            elif split is not None:
                split_entries.setdefault(split, [_find(values[key], key, files[0], finder)])
        files = [Path(_find(values.get("names", "obj.names"), "names", files[0], finder))]
    names = {tuple(map(normal_form, _read_lines(file))) for file in files}
    shown = _relative(files[0], root)
    if len(names) > 1:
        listed = ", ".join(_relative(file, root) for file in files[:5])
        raise UserError(
            f"dataset.root: the files of class names in '{root}' differ: {listed}. Keep one of them. "
            f"Try: dataset.file={shown}"
        )
    (class_names,) = names
    if not class_names:
        raise UserError(f"dataset.file: '{files[0]}' is empty. Expected a class name per line.")
    names_splits = "train" in split_entries
    if not names_splits:
        split_entries, names_splits = split_entries_of_folders(root, listings)
    note = f"no YAML file with names: the {len(class_names)} class(es) are those of {shown}"
    return Definition(root, class_names, split_entries, finder, names_splits, notes=(note,), findings=tuple(findings))


def _read_data_file(file: Path) -> dict[str, str]:
    pairs = (line.split("#")[0].partition("=") for line in _read_lines(file))
    return {key.strip().lower(): value.strip() for key, _, value in pairs if value.strip()}


def _read_lines(file: Path) -> list[str]:
    try:
        text = read_text(file, max_bytes=_MAX_BYTES)
    except (OSError, UnicodeError) as error:
        raise UserError(f"dataset.file: '{file}' cannot be read: {error}. Expected a text file.") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _find(text: str, key: str, file: Path, finder: PathFinder) -> str:
    found = finder.find(text)
    if found is None:
        raise UserError(
            f"dataset.file: '{file}' has {key} = {quote(text)[1:-1]}, but there is no such file in '{file.parent}'. "
            "Correct the path."
        )
    return found


def _relative(file: Path, root: Path) -> str:
    return os.path.relpath(file, root).replace(os.sep, "/")

"""What a YOLO data set says of itself: class names, splits and points, in a YAML file or in darknet's files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visionkit.data.findings import Finding
from visionkit.data.sources.split_names import SPLIT_NAMES, split_of
from visionkit.data.sources.yolo.folders import split_entries_of_folders
from visionkit.data.sources.yolo.paths import FolderListings, PathFinder
from visionkit.errors import UserError
from visionkit.files import expand_user, read_text
from visionkit.schema import describe, quote
from visionkit.text import normal_form
from visionkit.yaml_files import MAX_YAML_BYTES, load_yaml

__all__ = ["Definition", "read_yaml_definition", "read_yaml_file"]

_NOTHING = ("", "~", "null", "Null", "NULL")
_UNESCAPED_PATH = re.compile(r'"((?:[A-Za-z]:|\.{1,2})\\(?!\\)[^"\n]*)"')


@dataclass(frozen=True)
class Definition:
    """What a data set says of itself.

    Attributes:
        root: The folder that image names are relative to, absolute.
        class_names: One per class, in the order of the class ids.
        split_entries: Of each split the folders of images, or files that list images.
        finder: Finds what the lists of images name.
        names_splits: Whether keys, lists or folders say which images are those of train.
        kpt_shape: The number of points behind each box, and of values of a point.
        notes: Messages for the user.
        findings: What was left out.
    """

    root: Path
    class_names: tuple[str, ...]
    split_entries: Mapping[str, Sequence[str]]
    finder: PathFinder
    names_splits: bool
    kpt_shape: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def read_yaml_file(path: Path) -> Mapping[str, Any]:
    """The keys of a data set's YAML file, scalars as they are written: a class may be ``on``, ``null`` or ``1.0``.

    Raises:
        UserError: If it is no plain YAML, or no mapping.
    """
    try:
        text = read_text(path, max_bytes=MAX_YAML_BYTES)
    except (OSError, UnicodeError) as error:
        raise UserError(f"dataset.file: '{path}' cannot be read: {error}. Expected a YAML file.") from None
    text = _UNESCAPED_PATH.sub(lambda match: match.group().replace("\\", "/"), text)
    values = load_yaml(text, where=f"dataset.file: '{path}'", as_written=True)
    if not isinstance(values, Mapping):
        raise UserError(f"dataset.file: '{path}' should map names, train and val to values; found {describe(values)}.")
    return {key: value for key, value in values.items() if value not in _NOTHING}


def read_yaml_definition(
    file: Path, values: Mapping[str, Any], listings: FolderListings, *, folder: Path
) -> Definition:
    """What a YAML file says.

    Args:
        file: Its absolute path.
        values: Its keys, as `read_yaml_file`.
        listings: The listings of folders.
        folder: The folder of the data set as it was given, which may be above that of the file.

    Raises:
        UserError: If a key has no valid value, or names no existing folder or file.
    """
    root = _dataset_root(values, file, listings, folder)
    finder = PathFinder([root, file.parent], listings)
    split_entries: dict[str, list[str]] = {}
    notes: list[str] = []
    findings: list[Finding] = []
    for split, (key, *others) in _split_keys(values).items():
        notes += [
            f"'{other}' in {file.name} is left out: the images of {split} are those of '{key}'" for other in others
        ]
        value = values[key]
        entries = value if isinstance(value, list) else [value]
        if split == "test" and not any(isinstance(entry, str) and finder.find(entry) for entry in entries):
            findings += Finding.of("split-left-out", [f"{key}: {describe(value)} of {file.name}, which does not exist"])
            continue
        split_entries[split] = [_find_entry(entry, key, root, file, finder) for entry in entries]
    names_splits = bool(split_entries)
    if not names_splits:
        split_entries, names_splits = split_entries_of_folders(root, listings)
    if "train" not in split_entries:
        raise UserError(
            f"dataset.file: '{file}' does not say where the training images are; found the keys "
            f"{', '.join(map(str, values))}. Expected train: a folder, such as train: images/train"
        )
    kpt_shape = _kpt_shape(values.get("kpt_shape"), file)
    if kpt_shape is not None:
        notes.append(f"the {kpt_shape[0]} point(s) behind each box, as kpt_shape says, are left out")
    names = _names(values, file)
    return Definition(root, names, split_entries, finder, names_splits, kpt_shape, tuple(notes), tuple(findings))


def _split_keys(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """The keys of each split; of several, such as trainval beside train, first the one of the plainest name."""
    keys: dict[str, list[str]] = {}
    for split, names in SPLIT_NAMES.items():
        ranks = {key: names.index(key.lower()) if key.lower() in names else len(names) for key in values if values[key]}
        found = sorted((key for key in ranks if split_of(key) == split), key=ranks.__getitem__)
        keys |= {split: found} if found else {}
    return keys


def _names(values: Mapping[str, Any], file: Path) -> tuple[str, ...]:
    """The class names in the order of their ids."""
    names, count = values.get("names"), values.get("nc")
    if isinstance(names, Mapping) and names and set(names) == {str(class_id) for class_id in range(len(names))}:
        names = [names[str(class_id)] for class_id in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(
            f"dataset.file: names in '{file}' should be a list, or a mapping of the class ids 0, 1, 2 ... without a "
            f"gap; found {describe(names)}. Try: names: [cat, dog]"
        )
    if isinstance(count, str) and count.isdecimal() and int(count[:20]) != len(names):
        raise UserError(f"dataset.file: '{file}' has nc: {count:.20}, but {len(names)} names. Expected as many.")
    return tuple(map(normal_form, names))


def _kpt_shape(value: Any, file: Path) -> tuple[int, int] | None:
    if value is None:
        return None
    numbers = [int(part) for part in value if re.fullmatch(r"\d{1,4}", str(part))] if isinstance(value, list) else []
    if len(numbers) != 2 or numbers[0] < 1 or numbers[1] not in (2, 3) or len(value) != 2:
        raise UserError(
            f"dataset.file: kpt_shape in '{file}' should be the number of points and of values of each, 2 or 3; found "
            f"{describe(value)}. Try: kpt_shape: [17, 3]"
        )
    return numbers[0], numbers[1]


def _dataset_root(values: Mapping[str, Any], file: Path, listings: FolderListings, folder: Path) -> Path:
    """The folder that the paths of the splits are relative to: ``path``, if it is found, else that of the file, or the
    given one if only there the training images are found."""
    path = values.get("path")
    if isinstance(path, str):
        finder = PathFinder([file.parent], listings)
        found = finder.find(str(expand_user(path)) if path.startswith("~") else path)
        if found is not None and Path(found).is_dir():
            return Path(found)
    keys = _split_keys(values).get("train", [])
    entries = [entry for key in keys[:1] for entry in (values[key] if isinstance(values[key], list) else [values[key]])]
    named = [entry for entry in entries if isinstance(entry, str)]
    for base in (file.parent, folder):
        finder = PathFinder([base], listings)
        if any(finder.find(entry) for entry in named):
            return base
    return file.parent if named else folder


def _find_entry(entry: Any, key: str, root: Path, file: Path, finder: PathFinder) -> str:
    """A folder or list of images; some tools export ``../train/images`` for ``train/images``."""
    found = finder.find(entry) if isinstance(entry, str) else None
    if found is None:
        text = quote(entry)[1:-1] if isinstance(entry, str) else describe(entry)
        raise UserError(
            f"dataset.file: '{file}' has {key}: {text}, but there is no such folder or file in '{root}'. "
            "Expected a folder of images, or a text file with one image path per line."
        )
    return found

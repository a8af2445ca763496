"""The JSON file of each split of a data set in COCO's form, found by its name; and what to type if there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from visionkit.data.image_files import is_system_folder, walk_images
from visionkit.data.sources.split_names import SPLIT_NAMES, is_folder, split_in, sub_folders
from visionkit.errors import UserError

__all__ = ["advise_files", "find_files"]

_MAX_LISTED = 10
_OTHER_KINDS = ("captions_", "person_keypoints_", "image_info_", "stuff_", "panoptic_")
_WITHOUT_BOXES = tuple(kind for kind in _OTHER_KINDS if kind != "person_keypoints_")
_MAX_DEPTH, _MAX_FOLDERS, _HEAD_BYTES = 3, 60, 1 << 14
_KEYS = (b'"images"', b'"annotations"', b'"categories"')


def find_files(root: Path) -> tuple[dict[str, Path], list[Path], bool]:
    """The JSON file of each split; the others; and whether their names say splits.

    A single file without a split in its name is that of ``train``.
    """
    files = _json_files(root)
    candidates: dict[str, list[Path]] = {}
    for file in files:
        folder = file.parent.name if file.parent.parent == root else ""
        candidates.setdefault(split_in(file.stem) or split_in(folder) or "", []).append(file)
    unnamed = candidates.pop("", [])
    names_splits = bool(candidates)
    if not candidates and unnamed:
        candidates, unnamed = {"train": unnamed}, []
    for split, split_files in candidates.items():
        if len(split_files) > 1:
            _check_form(split_files[0])
            listed = ", ".join(str(file.relative_to(root)) for file in split_files[:_MAX_LISTED])
            more = f" and {len(split_files) - _MAX_LISTED:,} more" if len(split_files) > _MAX_LISTED else ""
            raise UserError(
                f"dataset.root: several files may hold the annotations of {split}: {listed}{more}. "
                f"Say which: dataset.annotations.{split}={split_files[0].relative_to(root)}"
            )
    return {split: candidates[split][0] for split in SPLIT_NAMES if split in candidates}, unnamed, names_splits


def _json_files(root: Path) -> list[Path]:
    """The JSON files of the root, of ``annotations/`` and of the folders of splits, without those for other tasks."""
    names = [name for name in sub_folders(root) if name.lower() == "annotations" or split_in(name)]
    names.sort(key=lambda name: name.lower() != "annotations")
    folders = [root, *(root / name for name in names)]
    files = [file for folder in folders for file in sorted(folder.glob("*.json"))]
    return [file for file in files if not file.name.startswith((".", *_OTHER_KINDS)) and file.is_file()]


def _check_form(file: Path) -> None:
    """Raise an error if a file is in a form that has a file per image, or is otherwise known and not COCO's."""
    from visionkit.data.sources.coco.json_file import explain_form, load_json

    form = explain_form(load_json(file))
    if form:
        raise UserError(f"dataset.root: '{file}' is in the form of {form}")


def advise_files(root: Path) -> str:
    """A sentence on JSON files that lie elsewhere or are for other tasks, and what to type for them; or empty."""
    found = [file for file in _files_below(root) if _may_be_coco(file)]
    files = [file for file in found if not file.name.startswith(_WITHOUT_BOXES)]
    if not files:
        return f" '{found[0].relative_to(root)}' holds no boxes." if found else ""
    tops = {file.relative_to(root).parts[0] for file in files}
    inner = root / tops.pop()
    has_all = inner.is_dir() and not split_in(inner.name) and next(walk_images(inner), None) is not None
    if not tops and has_all and _json_files(inner):
        return f" '{files[0].relative_to(root)}' lies a folder deeper. Try: dataset.root={inner}"
    by_split: dict[str, str] = {}
    for file in files:
        path = file.relative_to(root)
        split = next(filter(None, map(split_in, (path.stem, *reversed(path.parts[:-1])))), "train")
        by_split.setdefault(split, path.as_posix())
    given = [f"dataset.annotations.{split}={by_split[split]}" for split in SPLIT_NAMES if split in by_split]
    return f" Is it '{files[0].relative_to(root)}'? Try: {' '.join(given)}"


def _files_below(root: Path) -> Iterator[Path]:
    """The JSON files of a folder and of some folders below it."""
    pending, num_folders = [(root, 0)], 0
    while pending and num_folders < _MAX_FOLDERS:
        folder, depth = pending.pop(0)
        num_folders += 1
        try:
            with os.scandir(folder) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if is_folder(entry) and depth < _MAX_DEPTH and not is_system_folder(entry.name):
                pending.append((Path(entry.path), depth + 1))
            elif entry.name.endswith(".json") and not entry.name.startswith(".") and entry.is_file():
                yield Path(entry.path)


def _may_be_coco(file: Path) -> bool:
    """Whether the beginning of a file has a key of COCO's form."""
    try:
        with open(file, "rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return False
    return any(key in head for key in _KEYS)

"""The files of a table: one, or one for each split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from visionkit.data.sources.roots import existing_root
from visionkit.data.sources.split_names import SPLIT_NAMES, split_in
from visionkit.data.sources.table.rows import TABLE_SUFFIXES
from visionkit.errors import UserError
from visionkit.files import expand_user

__all__ = ["find_tables"]

_EXPECTED = "Expected a CSV or Parquet file with a row for each image. Try: dataset.file=path/to/labels.csv"


def find_tables(file: str | None, root: str | None, *, name: str) -> tuple[dict[Path, str | None], list[str]]:
    """The files to read, and the split of each, train first; None for a file that is not one of several.

    Args:
        file: The value of ``dataset.file``, relative to the working directory or to the root: a file, or a folder.
        root: The value of ``dataset.root``.
        name: The data set's name, for messages.

    Returns:
        The files, and the names of the tables beside them that are not read.

    Raises:
        UserError: If there is none, or several without a choice.
    """
    if file is None and root and expand_user(root).is_file():
        raise UserError(
            f"dataset.root: '{root}' is a file, and root is the folder that its paths are relative to. "
            f"Try: dataset.file={root}"
        )
    if file is None:
        if not root:
            raise UserError(f"dataset '{name}' needs a table, and dataset.file is not given. {_EXPECTED}")
        folder = existing_root(root, name=name, expected="a table, or images with dataset.file beside it")
        return _in_folder(folder, "it is not given, and")
    given = expand_user(file)
    paths = [given, *([expand_user(root) / given] if root else [])]
    found = next((path for path in paths if path.is_file()), None)
    if found is not None:
        others = _tables(found.parent) if split_in(found.stem) == "train" else []
        return {found: None}, [path.name for path in others if split_in(path.stem) in ("val", "test")]
    folder_found = next((path for path in paths if path.is_dir()), None)
    if folder_found is None:
        looked = " and in ".join(dict.fromkeys(f"'{path.absolute().parent}'" for path in paths))
        raise UserError(f"dataset.file: there is no file '{file}' (looked in {looked}). {_EXPECTED}")
    return _in_folder(folder_found, f"'{file}' is a folder, and")


def _in_folder(folder: Path, reason: str) -> tuple[dict[Path, str | None], list[str]]:
    tables = _tables(folder)
    if len(tables) == 1:
        return {tables[0]: None}, []
    split_of_table = {path: split_in(path.stem) for path in tables}
    splits = [split for split in split_of_table.values() if split]
    if "train" in splits and len(set(splits)) == len(splits) > 1:
        of_splits: dict[Path, str | None] = {
            path: s for split in SPLIT_NAMES for path, s in split_of_table.items() if s == split
        }
        return of_splits, [path.name for path, split in split_of_table.items() if split is None]
    names = ", ".join(path.name for path in tables[:10]) or "none"
    raise UserError(f"dataset.file: {reason} '{folder}' has {len(tables)} tables: {names}. {_EXPECTED}")


def _tables(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in TABLE_SUFFIXES and path.is_file())

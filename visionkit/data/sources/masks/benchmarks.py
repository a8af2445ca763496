"""The folders of images and masks of a benchmark, unpacked in one folder or each in one below it."""

from __future__ import annotations

from pathlib import Path

from visionkit.data.sources.roots import existing_root
from visionkit.data.sources.split_names import sub_folders
from visionkit.errors import UserError

__all__ = ["find_folders"]


def find_folders(
    root: str | None, *, images: str, masks: str, holding: str, dataset: str, expected: str
) -> tuple[Path, str, str]:
    """The folder of a benchmark, and those of its images and masks, relative to it.

    Args:
        root: The value of ``dataset.root``.
        images: The name of the folder of images.
        masks: The name of the folder of masks.
        holding: The name of the folder of the training split in both.
        dataset: The data set's name, for messages.
        expected: The expected contents of the root, for messages.

    Raises:
        UserError: If there is no root, or no such folder in it or in one of its folders.
    """
    path = existing_root(root, name=dataset, expected=expected)
    found = {name: _find_folder(path, name, holding=holding) for name in (images, masks)}
    missing = next((name for name, folder in found.items() if folder is None), None)
    if missing is not None:
        raise UserError(
            f"dataset.root: no folder {missing}/{holding} in '{path}' or one of its folders. Expected {expected}. For "
            "another layout: dataset=masks"
        )
    return path, str(found[images]), str(found[masks])


def _find_folder(root: Path, name: str, *, holding: str) -> str | None:
    """The path from the root of the folder of a name that holds another one, in the root or in one of its folders."""
    candidates = [name, *(f"{outer}/{name}" for outer in sub_folders(root))]
    return next((path for path in candidates if (root / path / holding).is_dir()), None)

"""The folder of a data set's files, as a person gave it."""

from __future__ import annotations

from pathlib import Path

from visionkit.errors import UserError
from visionkit.files import expand_user, similar_path

__all__ = ["existing_root"]


def existing_root(root: str | None, *, name: str, expected: str) -> Path:
    """The folder of ``dataset.root``, checked to exist and to hold something.

    Args:
        root: The value of ``dataset.root``.
        name: The data set's name, for messages.
        expected: The expected contents of the folder, for messages.

    Raises:
        UserError: If no folder is given, or it does not exist, is a file or is empty.
    """
    if not root:
        raise UserError(
            f"dataset '{name}' needs the folder of its images, and dataset.root is not given. "
            f"Expected {expected}. Try: dataset.root=path/to/{name}"
        )
    path = expand_user(root)
    if not path.exists():
        parent = path.absolute().parent
        hint = similar_path(root) if parent.is_dir() else f" Its parent '{parent}' does not exist either."
        raise UserError(
            f"dataset.root: there is no folder '{root}' (looked in {Path.cwd()}).{hint} Expected {expected}. "
            f"Try: dataset.root=path/to/{name}"
        )
    if not path.is_dir():
        is_archive = path.suffix.lower() in (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
        hint = (
            "An archive must be unpacked first; then type dataset.root=FOLDER"
            if is_archive
            else f"Type a folder, such as dataset.root={path.parent.as_posix()}"
        )
        raise UserError(f"dataset.root: '{root}' is a file, not a folder. Expected {expected}. {hint}")
    if next(path.iterdir(), None) is None:
        raise UserError(f"dataset.root: the folder '{root}' is empty. Expected {expected}.")
    return path

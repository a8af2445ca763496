"""Finding image files in folders, in the same order on every machine."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from visionkit.errors import UserError

__all__ = ["IMAGE_SUFFIXES", "ImageFiles", "is_image_name", "is_system_folder", "walk_images"]

IMAGE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif"),
        *(".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
    }
)

_SYSTEM_FOLDERS = frozenset(
    {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"}
)


class ImageFiles:
    """The image files of ``predict source=...``: a file, all images of a folder and its sub-folders, or a glob.

    Args:
        source_argument: A file, a folder or a pattern such as ``"photos/**/*.jpg"``; ``~`` is the home folder.
            A single file may have any suffix.

    Raises:
        UserError: If there is no such file or folder, or no image in it.
    """

    def __init__(self, source_argument: str) -> None:
        if not source_argument:
            raise UserError("source is not given. Expected an image, a folder or a pattern. Try: source=photo.jpg")
        path = Path(source_argument).expanduser()
        if path.is_file():
            self.paths: tuple[Path, ...] = (path,)
        elif path.is_dir():
            self.paths = tuple(path / name for name in sorted(walk_images(path)))
            if not self.paths:
                raise UserError(
                    f"source: no images in the folder '{source_argument}'. Expected files ending in {_suffixes()}."
                )
        elif glob.has_magic(source_argument):
            matches = sorted(glob.glob(str(path), recursive=True))
            files = (Path(name) for name in matches if is_image_name(name) and os.path.isfile(name))
            self.paths = tuple(file for file in files if not any(map(is_system_folder, file.parts[1:-1])))
            if not self.paths:
                raise UserError(
                    f"source: no images match '{source_argument}' (looked in {Path.cwd()}). "
                    f"Expected files ending in {_suffixes()}."
                )
        else:
            raise UserError(
                f"source: there is no file or folder '{source_argument}' (looked in {Path.cwd()}). "
                "Expected an image, a folder or a pattern in quotes. Try: 'source=photos/*.jpg'"
            )

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Path]:
        return iter(self.paths)

    def __getitem__(self, index: int) -> Path:
        return self.paths[index]


def is_image_name(name: str) -> bool:
    """Whether a file name has an image suffix and is not hidden."""
    base = os.path.basename(name)
    return not base.startswith(".") and os.path.splitext(base)[1].lower() in IMAGE_SUFFIXES


def is_system_folder(name: str) -> bool:
    """Whether a folder is hidden, or one that systems and tools make beside people's files."""
    return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS


def walk_images(folder: str | Path) -> Iterator[str]:
    """The paths of the images below a folder, relative to it, separated by ``/``, without hidden ones."""
    folders, visited = [""], {os.path.realpath(folder)}
    while folders:
        inner = folders.pop()
        with os.scandir(os.path.join(folder, inner)) as entries:
            for entry in entries:
                if is_system_folder(entry.name):
                    continue
                name = f"{inner}{entry.name}"
                if entry.is_dir():
                    target = os.path.realpath(entry.path) if entry.is_symlink() else ""
                    if target not in visited:  # a link to a parent folder would be an endless loop
                        folders.append(f"{name}/")
                        visited.update([target] if target else [])
                elif is_image_name(entry.name):
                    yield name


def _suffixes() -> str:
    return ", ".join(sorted(IMAGE_SUFFIXES))

"""Image files in folders: which there are, in an order that is the same on every machine."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from visionkit.errors import UserError

__all__ = ["IMAGE_SUFFIXES", "ImageFiles", "is_image_name", "read_size", "walk_images"]

IMAGE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif"),
        *(".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
    }
)


class ImageFiles:
    """The images that ``predict source=...`` means: one file, all of a folder and its sub-folders, or a glob.

    Args:
        source_argument: A file, a folder or a pattern such as ``"photos/**/*.jpg"``; ``~`` is the home folder.
            One file is taken whatever its suffix.

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
            found = sorted(glob.glob(str(path), recursive=True))
            files = (Path(name) for name in found if is_image_name(name) and os.path.isfile(name))
            self.paths = tuple(file for file in files if "__MACOSX" not in file.parts)
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
    """Whether a file's name ends as images do and is not hidden."""
    base = os.path.basename(name)
    return not base.startswith(".") and os.path.splitext(base)[1].lower() in IMAGE_SUFFIXES


def read_size(path: str | Path) -> tuple[int, int]:
    """Height and width of an image after its EXIF orientation, from the file's first bytes alone.

    Raises:
        UserError: If they cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except Exception as error:
        raise UserError(f"image '{path}' cannot be read: {error}.") from None
    return (width, height) if turned else (height, width)


def walk_images(folder: str | Path) -> Iterator[str]:
    """The images below a folder, relative to it, with ``/`` between the parts; hidden ones are passed over."""
    pending, linked = [""], {os.path.realpath(folder)}
    while pending:
        inner = pending.pop()
        with os.scandir(os.path.join(folder, inner)) as entries:
            for entry in entries:
                if entry.name.startswith((".", "__MACOSX")):
                    continue
                name = f"{inner}{entry.name}"
                if entry.is_dir():
                    target = os.path.realpath(entry.path) if entry.is_symlink() else ""
                    if target not in linked:  # a link to a folder above would lead round for ever
                        pending.append(f"{name}/")
                        linked.update([target] if target else [])
                elif is_image_name(entry.name):
                    yield name


def _suffixes() -> str:
    return ", ".join(sorted(IMAGE_SUFFIXES))

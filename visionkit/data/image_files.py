"""Finding image files in folders, in the same order on every machine."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from visionkit.data.findings import Finding
from visionkit.errors import UserError
from visionkit.files import similar_path

__all__ = [
    "IMAGE_SUFFIXES",
    "ImageFiles",
    "LeftOut",
    "is_image_name",
    "is_system_folder",
    "leads_up",
    "readable_suffixes",
    "scan_images",
    "walk_images",
]

IMAGE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif"),
        *(".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
    }
)

_PLUGIN_SUFFIXES = frozenset({".heic", ".heif", ".hif", ".avif"})

_SYSTEM_FOLDERS = frozenset(
    {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"}
)

_ENDINGS = frozenset(suffix[1:].encode() for suffix in IMAGE_SUFFIXES)
_PLUGIN_ENDINGS = frozenset(suffix[1:].encode() for suffix in _PLUGIN_SUFFIXES)
_SYSTEM_FILES = frozenset({b"thumbs.db", b"desktop.ini"})
_FIRST_BYTES = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|II\*\0|MM\0\*|II\+\0|MM\0\+|RIFF.{4}WEBP|BM.{4}\0\0\0\0", re.DOTALL
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
                f"source: there is no file or folder '{source_argument}' (looked in {Path.cwd()})."
                f"{similar_path(source_argument)} Expected an image, a folder or a pattern in quotes. "
                "Try: 'source=photos/*.jpg'"
            )

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Path]:
        return iter(self.paths)

    def __getitem__(self, index: int) -> Path:
        return self.paths[index]


@cache
def readable_suffixes() -> frozenset[str]:
    """`IMAGE_SUFFIXES` and, where Pillow or its plug-in ``pillow-heif`` reads them here, those of HEIC and AVIF.

    The plug-in is registered with Pillow.
    """
    from PIL import Image

    try:
        import pillow_heif
    except ImportError:
        pass
    else:
        pillow_heif.register_heif_opener()
    readable = {suffix for suffix, name in Image.registered_extensions().items() if name in Image.OPEN}
    return IMAGE_SUFFIXES | (_PLUGIN_SUFFIXES & readable)


def is_image_name(name: str) -> bool:
    """Whether a file name has an image suffix that can be read here, and is not hidden."""
    base = os.path.basename(name)
    suffix = os.path.splitext(base)[1].lower()
    return not base.startswith(".") and (
        suffix in IMAGE_SUFFIXES or (suffix in _PLUGIN_SUFFIXES and suffix in readable_suffixes())
    )


def is_system_folder(name: str) -> bool:
    """Whether a folder is hidden, or one that systems and tools make beside people's files."""
    return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS


@dataclass
class LeftOut:
    """What a scan found and left out.

    Attributes:
        endings: The number of files of each ending that is not read, such as ``.heic``.
        special: Links to nothing, pipes, devices and sockets, relative to the scanned root.
    """

    endings: Counter[str] = field(default_factory=Counter)
    special: list[str] = field(default_factory=list)

    def add(self, ending: str) -> None:
        """Count a file of this ending, which is given without its dot."""
        self.endings[f".{ending.lower()}" if ending else "without an ending"] += 1

    def findings(self) -> list[Finding]:
        """What was left out, as findings."""
        found = Finding.of("file-special", self.special)
        if self.endings:
            endings = ", ".join(f"{count:,} {ending}" for ending, count in self.endings.most_common(10))
            found.append(Finding.counted("file-no-image", self.endings.total(), endings=endings))
        return found


def walk_images(folder: str | Path, left_out: LeftOut | None = None) -> Iterator[str]:
    """The paths of the images below a folder, relative to it, separated by ``/``, as `scan_images` finds them."""
    return (os.fsdecode(name) for name, _ in scan_images(os.fsencode(folder), left_out=left_out))


def scan_images(root: bytes, folder: bytes = b"", left_out: LeftOut | None = None) -> Iterator[tuple[bytes, int]]:
    """The images below a folder, without hidden ones and those in folders of systems and tools.

    An image is a regular file, or a link to one, with an image's ending, or without an ending and with the first bytes
    of an image. A link to a folder is followed, unless it leads to a folder that it lies in.

    Args:
        root: The folder that paths are relative to.
        folder: The folder that is scanned, relative to the root, empty or ending in ``/``.
        left_out: Receives what is left out.

    Yields:
        Path, relative to the root and separated by ``/``, and inode of each image, in no order.

    Raises:
        UserError: If a folder cannot be read.
    """
    folders, visited, starts = [folder], set[bytes](), (root, os.path.join(root, folder))
    while folders:
        inner = folders.pop()
        with _open_folder(os.path.join(root, inner)) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith(b"."):
                    continue
                if entry.is_file(follow_symlinks=False):
                    inode = entry.inode()
                else:
                    mode, inode = _target(entry)
                    if stat.S_ISDIR(mode):
                        if not is_system_folder(os.fsdecode(name)) and not _is_loop(entry, starts, visited):
                            folders.append(inner + name + b"/")
                        continue
                    if not stat.S_ISREG(mode):
                        if left_out is not None:
                            left_out.special.append(os.fsdecode(inner + name))
                        continue
                stem, _, ending = name.rpartition(b".")
                has_ending = bool(stem and ending)
                if _is_read(ending.lower()) if has_ending else _starts_as_image(entry.path):
                    yield inner + name, inode
                elif left_out is not None and name.lower() not in _SYSTEM_FILES:
                    left_out.add(os.fsdecode(ending) if has_ending else "")


def _is_read(ending: bytes) -> bool:
    """Whether an ending, in small letters and without its dot, is that of an image."""
    return ending in _ENDINGS or (ending in _PLUGIN_ENDINGS and f".{ending.decode()}" in readable_suffixes())


def _open_folder(folder: bytes) -> AbstractContextManager[Iterator[os.DirEntry[bytes]]]:
    try:
        return os.scandir(folder)
    except OSError as error:
        raise UserError(
            f"the folder '{os.fsdecode(folder).rstrip('/')}' cannot be read: {error.strerror}. Expected a folder that "
            "may be listed. Change its permissions, or move it elsewhere."
        ) from None


def _target(entry: os.DirEntry[bytes]) -> tuple[int, int]:
    """Mode and inode of what is no regular file, or of what a link leads to; 0 and 0 for a link to nothing."""
    try:
        if entry.is_dir(follow_symlinks=False):
            return stat.S_IFDIR, 0
        status = entry.stat()
    except OSError:  # nothing there, or links in a circle
        return 0, 0
    return status.st_mode, status.st_ino


def leads_up(link: str | bytes, *starts: str | bytes) -> bool:
    """Whether a link leads to a folder that it or one of the starts lies in, so that following it never ends."""
    target = Path(os.path.realpath(os.fsdecode(link)))
    inner = [os.path.dirname(os.fsdecode(link)), *map(os.fsdecode, starts)]
    return any(Path(os.path.realpath(path)).is_relative_to(target) for path in inner)


def _is_loop(entry: os.DirEntry[bytes], starts: Sequence[bytes], visited: set[bytes]) -> bool:
    """Whether a folder is a link to one that it or a start lies in, or to one that another link has led to."""
    if not entry.is_symlink():
        return False
    target = os.path.realpath(entry.path)
    if target in visited or leads_up(entry.path, *starts):
        return True
    visited.add(target)
    return False


def _starts_as_image(path: bytes) -> bool:
    """Whether the first bytes of a regular file are those of a JPEG, PNG, GIF, BMP, TIFF or WebP file."""
    try:
        with open(path, "rb") as file:
            return _FIRST_BYTES.match(file.read(16)) is not None
    except OSError:
        return False


def _suffixes() -> str:
    return ", ".join(sorted(readable_suffixes()))

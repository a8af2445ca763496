"""Finding image files in folders, in the same order on every machine."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from visionkit.data.findings import Finding
from visionkit.errors import UserError

__all__ = [
    "IMAGE_SUFFIXES",
    "LeftOut",
    "is_image_file",
    "is_image_name",
    "is_system_folder",
    "leads_up",
    "readable_suffixes",
    "scan_images",
    "starts_as_image",
    "walk_images",
]

IMAGE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif"),
        *(".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".npy"),
    }
)

_PLUGIN_SUFFIXES = frozenset({".heic", ".heif", ".hif", ".avif"})

_SYSTEM_FOLDERS = frozenset(
    {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"}
)

_ENDINGS = frozenset(suffix[1:].encode() for suffix in IMAGE_SUFFIXES)
_PLUGIN_ENDINGS = frozenset(suffix[1:].encode() for suffix in _PLUGIN_SUFFIXES)
_ARRAY_ENDINGS = frozenset({b"npy", b"NPY"})
_MAX_ENDINGS = 10
_SYSTEM_FILES = frozenset({b"thumbs.db", b"desktop.ini"})
_FIRST_BYTES = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|II\*\0|MM\0\*|II\+\0|MM\0\+|RIFF.{4}WEBP|BM.{4}\0\0\0\0", re.DOTALL
)


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


def is_image_file(path: str) -> bool:
    """Whether a file, hidden or not, is taken for an image: by its ending, or without one by its first bytes."""
    ending = os.path.splitext(os.path.basename(path))[1][1:].lower()
    return _is_read(os.fsencode(ending)) if ending else starts_as_image(os.fsencode(path))


def is_system_folder(name: str) -> bool:
    """Whether a folder is hidden, or one that systems and tools make beside people's files."""
    return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS


@dataclass
class LeftOut:
    """What a scan found and left out.

    Attributes:
        endings: The number of files of each ending that is not read, such as ``.heic``.
        special: Links to nothing, pipes, devices and sockets, relative to the scanned root.
        arrays: Arrays (``.npy``) beside an image of the same name, relative to the scanned root.
        is_wanted: Which paths, relative to the scanned root, are counted; None for all.
    """

    endings: Counter[str] = field(default_factory=Counter)
    special: list[str] = field(default_factory=list)
    arrays: list[str] = field(default_factory=list)
    is_wanted: Callable[[str], bool] | None = None

    def add(self, name: bytes) -> None:
        """Count a file of an ending that is not read."""
        if self._counts(name):
            stem, _, ending = os.path.basename(name).rpartition(b".")
            is_ending = stem and ending
            self.endings[f".{os.fsdecode(ending).lower()}" if is_ending else "without an ending"] += 1

    def add_special(self, name: bytes) -> None:
        """Note what is no regular file."""
        if self._counts(name):
            self.special.append(os.fsdecode(name))

    def add_array(self, name: bytes) -> None:
        """Note an array beside an image of the same name."""
        if self._counts(name):
            self.arrays.append(os.fsdecode(name))

    def _counts(self, name: bytes) -> bool:
        return self.is_wanted is None or self.is_wanted(os.fsdecode(name))

    def findings(self) -> list[Finding]:
        """What was left out, as findings."""
        found = Finding.of("file-special", self.special) + Finding.of("array-beside-image", self.arrays)
        if self.endings:
            common = sorted(self.endings.items(), key=lambda item: (-item[1], item[0]))[:_MAX_ENDINGS]
            endings = ", ".join(f"{count:,} {ending}" for ending, count in common)
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
            arrays = []
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
                            left_out.add_special(inner + name)
                        continue
                stem, _, ending = name.rpartition(b".")
                if ending in _ARRAY_ENDINGS and stem:
                    arrays.append((name, inode))
                elif _is_read(ending.lower()) if stem and ending else starts_as_image(entry.path):
                    yield inner + name, inode
                elif left_out is not None and name.lower() not in _SYSTEM_FILES:
                    left_out.add(inner + name)
        if arrays:
            yield from _lone_arrays(root, inner, arrays, left_out)


def _lone_arrays(
    root: bytes, folder: bytes, arrays: Sequence[tuple[bytes, int]], left_out: LeftOut | None
) -> Iterator[tuple[bytes, int]]:
    """Arrays of a folder, without those beside an image of the same name: the caches of training programs."""
    names = map(os.fsdecode, os.listdir(os.path.join(root, folder)))
    stems = {os.path.splitext(name)[0] for name in names if is_image_name(name) and not name.lower().endswith(".npy")}
    for name, inode in arrays:
        if os.path.splitext(os.fsdecode(name))[0] not in stems:
            yield folder + name, inode
        elif left_out is not None:
            left_out.add_array(folder + name)


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


def starts_as_image(path: bytes) -> bool:
    """Whether the first bytes of a regular file are those of a JPEG, PNG, GIF, BMP, TIFF or WebP file."""
    try:
        with open(path, "rb") as file:
            return _FIRST_BYTES.match(file.read(16)) is not None
    except OSError:
        return False

"""What mask files hold, kept between starts in the user's cache folder, so that only new files are decoded."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy
from numpy.typing import NDArray

from visionkit.data.mask_contents import MaskContents, ValueCounts, read_contents
from visionkit.distributed.processes import is_first_process
from visionkit.errors import UserError
from visionkit.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MaskCache"]

_FORMAT = 1  # to be raised when `read_contents` counts otherwise, or the arrays of the file change
_MIN_MASKS = 200  # fewer are decoded in less than half a second
_MAX_VALUES = 1024  # of one mask; smoothed and photographed ones have thousands
_MAX_TOTAL_VALUES = 4_000_000
_DIGEST_BYTES = 32
_MAX_BYTES = 256 * 2**20  # of all files in the folder
_SETTLED_NS = 2_000_000_000
"""A file that changed less long ago may change again within one tick of its file system's clock, as git knows it."""

_Stamp: TypeAlias = tuple[int, int, int, int, int]
"""Device, inode, size and the times of change of contents and of the file, in nanoseconds."""


class MaskCache:
    """Reads masks as `read_contents`, from a file of earlier contents where size, times and inode are still the same.

    Errors, very large counts and masks that changed just now are never kept. Without a cache folder that can be
    written, or if the file is damaged, all masks are decoded.

    Args:
        root: The folder of the masks.
        coloured: As in `read_contents`.
    """

    def __init__(self, root: Path, *, coloured: bool) -> None:
        self._root, self._coloured = root, coloured
        self._file = _cache_file(root, coloured=coloured)
        self._known = _Contents.load(self._file)
        self._current: dict[str, tuple[_Stamp, MaskContents]] = {}
        self._has_new = False

    def read(self, name: str, *, max_pixels: int) -> MaskContents:
        """The contents of a mask.

        Args:
            name: Its path, relative to the root.
            max_pixels: As in `read_contents`.

        Raises:
            UserError: As there.
        """
        path = self._root / name
        stamp = _stamp(path)  # before the file is read: what is written meanwhile has another
        found = None if stamp is None else self._known.find(name, stamp)
        if found is not None and found.size[0] * found.size[1] > max_pixels:
            found = None
        if found is None:
            found = read_contents(path, coloured=self._coloured, max_pixels=max_pixels)
            if stamp is None or time.time_ns() - max(stamp[3:]) < _SETTLED_NS or len(found.counts.values) > _MAX_VALUES:
                return found
            self._has_new = True
        if stamp is not None:
            self._current[name] = stamp, found
        return found

    def __enter__(self) -> MaskCache:
        return self

    def __exit__(self, *_: object) -> None:
        """Save what was read, also before an error, after whose cause the next start reads the same masks."""
        if is_first_process():
            self.save()

    def save(self) -> None:
        """Write what was read, if some of it is new, and remove the oldest files of a folder that has grown too large.

        That it cannot be written is no error.
        """
        if self._file is None or not self._has_new or len(self._current) < _MIN_MASKS:
            return
        if sum(len(contents.counts.values) for _, contents in self._current.values()) > _MAX_TOTAL_VALUES:
            return
        archive = io.BytesIO()
        numpy.savez(archive, **_as_arrays(self._current))  # type: ignore[arg-type]
        content = archive.getvalue()
        with contextlib.suppress(OSError, UserError):
            write_atomic(self._file, hashlib.sha256(content).digest() + content)
            _remove_oldest(self._file.parent)


class _Contents:
    """The contents in a file.

    Args:
        arrays: As `_as_arrays` makes them.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        names = arrays["names"].tobytes().split(b"\0") if len(arrays["stamps"]) else []
        self._rows = {os.fsdecode(name): row for row, name in enumerate(names)}

    @classmethod
    def load(cls, file: Path | None) -> _Contents:
        """The contents of a file; none if there is none, or it is damaged."""
        if file is None:
            return cls(_EMPTY)
        with contextlib.suppress(OSError, ValueError):
            data = file.read_bytes() if file.stat().st_size <= _MAX_BYTES else b""
            digest, archive = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
            if hashlib.sha256(archive).digest() == digest:
                with numpy.load(io.BytesIO(archive), allow_pickle=False) as arrays:
                    loaded = cls({key: arrays[key] for key in _EMPTY})
                with contextlib.suppress(OSError):
                    os.utime(file)  # the oldest are removed first
                return loaded
        return cls(_EMPTY)

    def find(self, name: str, stamp: _Stamp) -> MaskContents | None:
        """What a mask holds whose file has not changed; None if it is not known."""
        row = self._rows.get(name)
        if row is None or tuple(self._arrays["stamps"][row].tolist()) != stamp:
            return None
        height, width, is_coloured, is_lossy, has_palette = self._arrays["facts"][row].tolist()
        end = int(self._arrays["ends"][row])
        part = slice(int(self._arrays["ends"][row - 1]) if row else 0, end)
        values, pixels, solid, palette = (self._arrays[key][part] for key in ("values", "pixels", "solid", "palettes"))
        counts = ValueCounts(values, pixels, solid)
        return MaskContents(
            (height, width), bool(is_coloured), counts, bool(is_lossy), palette if has_palette else None
        )


_EMPTY: dict[str, NDArray[Any]] = {
    "names": numpy.zeros(0, numpy.uint8),
    "stamps": numpy.zeros((0, 5), numpy.int64),
    "facts": numpy.zeros((0, 5), numpy.int64),
    **{key: numpy.zeros(0, numpy.int64) for key in ("ends", "values", "pixels", "solid", "palettes")},
}


def _as_arrays(entries: dict[str, tuple[_Stamp, MaskContents]]) -> dict[str, NDArray[Any]]:
    """Contents as flat arrays, with the end of each mask's values in all of them."""
    contents = [found for _, found in entries.values()]
    palettes = [numpy.zeros_like(found.counts.values) if found.palette is None else found.palette for found in contents]
    facts = [(*found.size, found.is_coloured, found.is_lossy, found.palette is not None) for found in contents]
    return {
        "names": numpy.frombuffer(b"\0".join(map(os.fsencode, entries)), numpy.uint8),
        "stamps": numpy.array([stamp for stamp, _ in entries.values()], numpy.int64),
        "facts": numpy.array(facts, numpy.int64),
        "ends": numpy.cumsum([len(found.counts.values) for found in contents]),
        "values": numpy.concatenate([found.counts.values for found in contents]),
        "pixels": numpy.concatenate([found.counts.pixels for found in contents]),
        "solid": numpy.concatenate([found.counts.solid for found in contents]),
        "palettes": numpy.concatenate(palettes),
    }


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    size, modified, changed = status.st_size, status.st_mtime_ns, status.st_ctime_ns
    return status.st_dev % 2**63, status.st_ino % 2**63, size, modified, changed


def _cache_file(root: Path, *, coloured: bool) -> Path | None:
    """The file for the masks of a folder; None without a cache folder (XDG Base Directory Specification)."""
    import PIL

    from visionkit import __version__

    parent = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.path.isabs(parent):
        return None
    key = "\0".join([str(_FORMAT), __version__, PIL.__version__, str(coloured), os.path.realpath(root)])
    name = hashlib.sha256(os.fsencode(key)).hexdigest()[:32]
    return Path(parent, "visionkit", "masks", f"{name}.masks")


def _remove_oldest(folder: Path) -> None:
    """Remove the files that were not used for the longest time, until the others take `_MAX_BYTES`."""
    total = 0
    for file in sorted(_files(folder), key=lambda entry: entry.stat().st_mtime_ns, reverse=True):
        total += file.stat().st_size
        if total > _MAX_BYTES:
            os.unlink(file.path)


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if entry.name.endswith((".masks", ".tmp")) and entry.is_file())

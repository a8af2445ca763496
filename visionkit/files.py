"""Atomic writes, and values that JSON can hold."""

import contextlib
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from visionkit.errors import UserError

__all__ = ["TEMPORARY", "open_atomic", "replace_non_finite", "write_atomic"]

TEMPORARY = ".{name}.{process}.tmp"
"""The name under which a file is written before it takes its place."""

_SPARE = 2**20


@contextlib.contextmanager
def open_atomic(path: Path, *, num_bytes: int = 0, flush: bool = False) -> Iterator[BinaryIO]:
    """A temporary file beside ``path`` that replaces it at the end: readers see the old file or the whole new one.

    Args:
        path: The file.
        num_bytes: About how much will be written; compared with the room on the disk first.
        flush: Whether file and folder are on the disk itself at the end, and not only in the system's memory.

    Raises:
        UserError: If there is less room than ``num_bytes``.
        OSError: If the file cannot be written; with the name of the file.
    """
    temporary = path.with_name(TEMPORARY.format(name=path.name, process=os.getpid()))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_room(path, num_bytes)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            if flush:
                os.fsync(file.fileno())
        os.replace(temporary, path)
        if flush:
            _flush_folder(path.parent)
    except OSError as error:
        if error.errno is not None:
            error.filename = error.filename or str(path)
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomic(path: Path, content: str | bytes, *, flush: bool = False) -> None:
    """Write a file as `open_atomic`.

    Raises:
        UserError: If there is not room enough.
        OSError: If the file cannot be written; with the name of the file.
    """
    data = content.encode() if isinstance(content, str) else content
    with open_atomic(path, num_bytes=len(data) if flush else 0, flush=flush) as file:
        file.write(data)


def replace_non_finite(value: Any) -> Any:
    """A copy of nested mappings and lists in which None replaces each float that is infinite or NaN."""
    if isinstance(value, Mapping):
        return {key: replace_non_finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [replace_non_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check_room(path: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(path.parent).free if num_bytes else 0
    if num_bytes and free < num_bytes + _SPARE:
        raise UserError(
            f"no room for '{path}': it takes {num_bytes / 2**20:,.1f} MiB, and {free / 2**20:,.1f} MiB are free there. "
            "What was written before is whole. Make room, or write elsewhere: run_dir=FOLDER"
        )


def _flush_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every system lets a folder be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

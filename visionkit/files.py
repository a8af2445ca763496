"""Bounded reads of text, atomic writes, and values that JSON can hold."""

import codecs
import math
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visionkit.errors import UserError

__all__ = ["MAX_TEXT_BYTES", "check_file_size", "read_text", "replace_non_finite", "write_atomic"]

MAX_TEXT_BYTES = 200 * 1024**2
"""The size of the largest text file of annotations that is read."""

_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: str | Path, *, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark, as Windows writes it; without the mark.

    Args:
        path: A regular file; a pipe or a device would never end.
        max_bytes: The size up to which it is read.

    Raises:
        OSError: If there is no such file, it is no regular file, or cannot be read.
        UnicodeError: If it is no text of these encodings.
        UserError: If it is larger.
    """
    check_file_size(path, max_bytes=max_bytes)
    with open(path, "rb") as file:
        content = file.read()
    return content.decode("utf-16" if content.startswith(_UTF_16_MARKS) else "utf-8-sig")


def check_file_size(path: str | Path, *, max_bytes: int = MAX_TEXT_BYTES) -> None:
    """Check that a file is a regular one of at most ``max_bytes``, before it is read.

    Raises:
        OSError: If there is no such file, or it is no regular file.
        UserError: If it is larger.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is no regular file")
    if status.st_size > max_bytes:
        raise UserError(
            f"'{path}' has {_mib(status.st_size)}, and such a file is read up to {_mib(max_bytes)}. "
            "Expected a smaller one: is it the right file? Else divide it."
        )


def _mib(size: int) -> str:
    return f"{size / 1024**2:,.0f} MiB" if size >= 1024**2 else f"{size / 1024:,.0f} KiB"


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a temporary file and move it to ``path``, so that readers see the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace_non_finite(value: Any) -> Any:
    """A copy of nested mappings and lists in which None replaces each float that is infinite or NaN."""
    if isinstance(value, Mapping):
        return {key: replace_non_finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [replace_non_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""Bounded reads of text, atomic writes, and values that JSON can hold."""

import codecs
import contextlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from visionkit.errors import UserError, did_you_mean

__all__ = [
    "MAX_TEXT_BYTES",
    "TEMPORARY",
    "check_file_size",
    "check_writable",
    "expand_user",
    "made_folder",
    "new_picture_file",
    "open_atomic",
    "open_text",
    "read_json",
    "read_text",
    "similar_path",
    "write_atomic",
]

TEMPORARY = ".{name}.{process}.tmp"
"""The name under which a file is written before it takes its place."""

_SPARE = 2**20

MAX_TEXT_BYTES = 200 * 1024**2
"""The size of the largest text file of annotations that is read."""

_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


_MOST_NAMES = 1000
"""In a folder in which a similar name is looked for."""


def expand_user(path: str | os.PathLike[str]) -> Path:
    """A path that a person has given, with ``~`` as the home folder.

    Raises:
        UserError: If it names the home of nobody, or has a character that no path has.
    """
    text = os.fspath(path)
    if "\0" in text:
        raise UserError(f"the path {json.dumps(text)} has a character of the code 0, which no path has.")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        name = text.split("/")[0]
        raise UserError(
            f"'{text}': '{name}' stands for the home folder of a user, and there is none of that name. Expected a path "
            f"such as ~/{text.partition('/')[2] or 'photos'}; for a folder that is called so: ./{text}"
        ) from None


def similar_path(path: str | Path) -> str:
    """A sentence about what lies where a path leads to nothing: ``" Did you mean 'photos'?"``, or ``""``."""
    missing = expand_user(path)
    try:
        names = sorted(entry.name for entry in islice(os.scandir(missing.parent), _MOST_NAMES))
    except OSError:
        return ""
    similar = did_you_mean(missing.name, (name for name in names if not name.startswith(".") and name != missing.name))
    name = similar.removeprefix(" Did you mean '").removesuffix("'?")
    return f" Did you mean '{missing.parent / name}'?" if similar else ""


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
    with open_text(path, max_bytes=max_bytes) as file:
        return file.read()


def open_text(path: str | Path, *, max_bytes: int = MAX_TEXT_BYTES) -> TextIO:
    """Open a file as `read_text` reads it, to be read in parts; ends of lines stay as they are.

    Raises:
        OSError: As `read_text`.
        UserError: As `read_text`.
    """
    check_file_size(path, max_bytes=max_bytes)
    with open(path, "rb") as file:
        is_wide = file.read(2) in _UTF_16_MARKS
    return open(path, encoding="utf-16" if is_wide else "utf-8-sig", newline="")


def read_json(path: Path, *, where: str = "", advice: str, max_bytes: int = MAX_TEXT_BYTES) -> Any:
    """The content of a JSON file.

    Args:
        path: A regular file in UTF-8.
        where: What an error message starts with, such as ``"run: "``.
        advice: What it ends with: what to type instead.
        max_bytes: The size up to which it is read.

    Raises:
        UserError: If it cannot be read, is too large, or is no JSON document.
    """
    try:
        text = read_text(path, max_bytes=max_bytes)
        if not text.strip():
            raise ValueError("it is empty")
        return json.loads(text)
    except OSError as error:
        problem = "it is a folder" if path.is_dir() else error.strerror or str(error)
        raise UserError(f"{where}'{path}' cannot be read: {problem}. {advice}") from None
    except (ValueError, RecursionError) as error:
        problem = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UserError(f"{where}'{path}' is no JSON document: {problem}. {advice}") from None


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


def check_writable(folder: Path, *, where: str) -> None:
    """Check that files can be written into a folder, or that it can be made; nothing is left behind.

    Args:
        folder: The folder, which need not exist.
        where: The key that an error message begins with, such as ``"run_dir"``.

    Raises:
        UserError: If it cannot be written: read-only, a file in its way, a name that is too long.
    """
    existing = folder
    try:
        os.stat(folder.absolute() / _LONGEST_NAME)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise _not_writable(folder, where, (error.strerror or str(error)).lower()) from None
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        what = "is a link to what is not there" if existing.is_symlink() and not existing.exists() else "is a file"
        raise _not_writable(folder, where, f"'{existing}' {what}")
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        place = "" if existing == folder else f"'{existing}': "
        raise _not_writable(folder, where, f"{place}{reason}") from None


_LONGEST_NAME = Path("checkpoints", "a name as long as those of a run")


def _not_writable(folder: Path, where: str, reason: str) -> UserError:
    return UserError(
        f"{where}: the folder '{folder}' cannot be written: {reason}. Expected one that is there or can be made. "
        f"Try another one: {where}=FOLDER"
    )


def new_picture_file(text: str, *, example: str, beside: str = "") -> Path:
    """The file that ``out=`` names, checked to be a PNG that can be written and is not there.

    Args:
        text: As typed.
        example: A name, for messages.
        beside: The ending of another file of that name that is written too.

    Raises:
        UserError: If it is not, or the other file is there.
    """
    file = expand_user(text)
    if file.suffix.lower() != ".png":
        raise UserError(f"out: found '{text}', expected a PNG file. Try: out={file.with_suffix('.png')}")
    if file.is_dir():
        raise UserError(f"out: '{text}' is a folder. Expected a PNG file, such as out={file / example}")
    for taken in (file, file.with_suffix(beside)) if beside else (file,):
        if taken.exists():
            shown = text if taken == file else taken
            other = file.with_name(f"{file.stem}_2.png")
            raise UserError(f"out: '{shown}' is there already, and is not overwritten. Try: out={other}")
    check_writable(file.parent, where="out")
    return file


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


@contextlib.contextmanager
def made_folder(path: Path) -> Iterator[None]:
    """A context in which a folder exists; if it fails, the folder and the parents that were made for it are removed.

    A folder with files in it stays.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def write_atomic(path: Path, content: str | bytes, *, flush: bool = False) -> None:
    """Write a file as `open_atomic`.

    Raises:
        UserError: If there is not room enough.
        OSError: If the file cannot be written; with the name of the file.
    """
    data = content.encode() if isinstance(content, str) else content
    with open_atomic(path, num_bytes=len(data) if flush else 0, flush=flush) as file:
        file.write(data)


def _check_room(path: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(path.parent).free if num_bytes else 0
    if num_bytes and free < num_bytes + _SPARE:
        raise UserError(
            f"no room for '{path}': it takes {num_bytes / 2**20:,.1f} MiB, and {free / 2**20:,.1f} MiB are free there. "
            "What was written before is whole. Make room, or write elsewhere: "
            "run_dir=FOLDER, or out=FOLDER of predict"
        )


def _flush_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every system lets a folder be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""Errors of the operating system that a user can mend, as messages."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator

from visionkit.errors import UserError

__all__ = ["explain_os_errors", "os_error_message"]

_LONGEST_PATH = 200
"""In letters; of a longer one the middle is left out of a message."""


def os_error_message(error: BaseException) -> str | None:
    """A sentence about an error of the system that its user can mend, with the path; None for any other error."""
    memory = _memory_message(error)
    if memory is not None:
        return memory
    if not isinstance(error, OSError) or error.errno not in _OS_ERRORS:
        return None
    path, advice = error.filename, _OS_ERRORS[error.errno]
    if path is None and error.errno == errno.ENOENT and not _has_current_folder():
        return "the current folder is there no more. Expected one that stays. Try: cd FOLDER"
    if path is None and error.errno == errno.ENOSPC and _stdout_is_full():
        return "standard output: no space left on device. Make room, or send it elsewhere."
    if path is None and error.errno not in _WITHOUT_PATH:
        return None
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if isinstance(path, str) and error.errno == errno.ENOENT:
        path = _missing_folder(path)
    if isinstance(path, str) and len(path) > _LONGEST_PATH:
        path = f"{path[: _LONGEST_PATH // 2]}...{path[-_LONGEST_PATH // 2 :]}"
    place = "" if path is None else f"'{path}': "
    return f"{place}{os.strerror(error.errno).lower()}. {advice}"


@contextlib.contextmanager
def explain_os_errors() -> Iterator[None]:
    """A context, or a decorator, in which an error of the system that its user can mend becomes a `UserError`."""
    try:
        yield
    except Exception as error:
        message = os_error_message(error)
        if message is None or isinstance(error, UserError):
            raise
        raise UserError(message) from error


def _memory_message(error: BaseException) -> str | None:
    """A sentence about memory that could not be had; None for any other error."""
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError":
        return "the memory of the GPU is full. Try a smaller recipe.batch_size or dataset.image_size"
    refused = isinstance(error, (ImportError, OSError, RuntimeError)) and any(words in text for words in _NO_MEMORY)
    if not refused and not isinstance(error, MemoryError):
        return None
    limit = _address_space()
    if isinstance(error, ImportError) or limit:
        found = f"this process may have {limit:.1f} GiB (ulimit -v)" if limit else "the machine has none left"
        needed = "torch alone takes about 5 GiB of addresses"
        return f"memory could not be had: {found}, and {needed}. Try: ulimit -v unlimited"
    return f"memory could not be had. {_OS_ERRORS[errno.ENOMEM]}"


_NO_MEMORY = (
    "failed to map segment", "cannot allocate memory", "Cannot allocate memory", "can't allocate memory",
    "std::bad_alloc", "can't start new thread",
)  # fmt: skip


def _address_space() -> float:
    """The limit of the addresses of this process in GiB; 0 without a limit."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return 0.0 if limit == resource.RLIM_INFINITY else limit / 2**30


def _stdout_is_full() -> bool:
    """Whether standard output is a file on a disk without room, or the device that never has some."""
    try:
        number = sys.stdout.fileno()
        status, disk = os.fstat(number), os.fstatvfs(number)
    except (OSError, ValueError, AttributeError):  # no file at all, or Windows
        return False
    if stat.S_ISCHR(status.st_mode):
        return status.st_rdev == _DEV_FULL
    return stat.S_ISREG(status.st_mode) and disk.f_bavail * disk.f_frsize < 2**20


_DEV_FULL = (1 << 8) | 7
"""The number of ``/dev/full`` on Linux."""


def _has_current_folder() -> bool:
    try:
        return bool(os.getcwd())
    except OSError:
        return False


def _missing_folder(path: str) -> str:
    """The uppermost folder of a path that is not there, as where one was moved; the path itself if all are."""
    while (parent := os.path.dirname(path)) and not os.path.isdir(parent):
        path = parent
    return path


_OS_ERRORS = {
    errno.ENOSPC: "Make room, or write elsewhere: run_dir=FOLDER, or out=FOLDER of predict",
    errno.EDQUOT: "Make room, or write elsewhere: run_dir=FOLDER, or out=FOLDER of predict",
    errno.EFBIG: "Expected a disk that takes files of this size. Try: run_dir=FOLDER, or out=FOLDER of predict",
    errno.EROFS: "Expected a place that can be written. Try: run_dir=FOLDER, or out=FOLDER of predict",
    errno.EACCES: "Expected a place that this user may read and write. Try another one, or change its owner.",
    errno.EPERM: "Expected a place that this user may read and write. Try another one, or change its owner.",
    errno.ENOENT: "It is not there, or is there no more. Expected it to stay until the command is done.",
    errno.ENOTDIR: "A part of the path is a file. Expected a folder.",
    errno.EISDIR: "Expected a file.",
    errno.ENAMETOOLONG: "Expected a shorter name or path.",
    errno.ELOOP: "Expected a path without a circle of links.",
    errno.EIO: "The disk, or its network, fails. What was written before is whole.",
    errno.ESTALE: "The network's disk is gone. What was written before is whole.",
    errno.EMFILE: "Try: ulimit -n 4096, or dataset.num_workers=0",
    errno.ENFILE: "Try: dataset.num_workers=0",
    errno.ENOMEM: "Try a smaller recipe.batch_size, dataset.cache_mb=0 or dataset.num_workers=0",
}
_WITHOUT_PATH = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE,
    errno.ENOMEM,
}  # fmt: skip

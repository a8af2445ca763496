"""Exceptions with messages for the user, exit codes, and suggestions for misspelt words."""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

__all__ = [
    "ExitCode",
    "MissingKeyError",
    "Outcome",
    "ProcessError",
    "Terminated",
    "UnknownKeyError",
    "UserError",
    "did_you_mean",
    "explain_os_errors",
    "nearest_word",
    "os_error_message",
    "plural",
]


_LONGEST_WORD = 100
"""In letters; the search for similar words takes quadratic time."""


_LONGEST_PATH = 200
"""In letters; of a longer one the middle is left out of a message."""


class ExitCode:
    """Exit codes of the command line."""

    DONE: Final = 0
    INTERNAL_ERROR: Final = 1
    USER_ERROR: Final = 2
    INTERRUPTED: Final = 130
    TERMINATED: Final = 143

    @staticmethod
    def of_signal(number: int) -> int:
        """The exit code of a command that a signal ended."""
        return 128 + number


ResultT_co = TypeVar("ResultT_co", covariant=True)


@dataclass(frozen=True)
class Outcome(Generic[ResultT_co]):
    """How the work of a verb ended.

    Attributes:
        code: An `ExitCode`.
        result: What the verb gives; None where a signal ended it before, or processes of another machine have it.
    """

    code: int
    result: ResultT_co


class UserError(Exception):
    """A mistake in the input of the user; the message says what to type instead.

    The command line prints the message without a traceback and ends with exit code 2.
    """


class UnknownKeyError(UserError):
    """A key that a mapping of the configuration does not know.

    Args:
        key: What was typed.
        parent: The dotted place of the mapping; ``""`` for the configuration itself.
        known: The keys that are valid there.
        suggestion: As `did_you_mean` gives it; None for the nearest of those.
        shown: The key as the message has it; None for the key in quotes.
    """

    def __init__(
        self, key: str, *, parent: str, known: Sequence[str], suggestion: str | None = None, shown: str | None = None
    ) -> None:
        self.key, self.parent, self.known, self.shown = key, parent, known, shown or f"'{key}'"
        self.suggestion = did_you_mean(key, known) if suggestion is None else suggestion
        place = f"{parent}: " if parent else ""
        super().__init__(f"{place}unknown key {self.shown}.{self.suggestion} Known keys: {', '.join(known)}.")

    def within(self, place: str) -> UnknownKeyError:
        """The same, of a mapping that lies at this place."""
        return self._replace(parent=".".join(filter(None, (place, self.parent))))

    def suggesting(self, suggestion: str) -> UnknownKeyError:
        """The same with another suggestion."""
        return self._replace(suggestion=suggestion)

    def _replace(self, *, parent: str | None = None, suggestion: str | None = None) -> UnknownKeyError:
        return UnknownKeyError(
            self.key,
            parent=self.parent if parent is None else parent,
            known=self.known,
            suggestion=self.suggestion if suggestion is None else suggestion,
            shown=self.shown,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process, to which exceptions are pickled by their arguments alone."""
        values = {name: getattr(self, name) for name in ("parent", "known", "suggestion", "shown")}
        return partial(UnknownKeyError, self.key, **values), ()


class MissingKeyError(UserError):
    """A key that a mapping of the configuration must have, and lacks.

    Args:
        key: The key.
        parent: The dotted place of the mapping; ``""`` for the configuration itself.
    """

    def __init__(self, key: str, *, parent: str) -> None:
        self.key, self.parent = key, parent
        super().__init__(f"{parent}{'.' if parent else ''}{key}: this key is required and is not given.")

    def within(self, place: str) -> MissingKeyError:
        """The same, of a mapping that lies at this place."""
        return MissingKeyError(self.key, parent=".".join(filter(None, (place, self.parent))))

    def __reduce__(self) -> tuple[Any, ...]:
        """As of `UnknownKeyError`."""
        return partial(MissingKeyError, self.key, parent=self.parent), ()


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does, but for the exit code."""


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


class ProcessError(Exception):
    """One of several processes of a run has failed, for another reason than a `UserError`.

    Args:
        text: The full message, such as its traceback.
        code: Its exit code.
        reason: The message in one line.
    """

    def __init__(self, text: str, *, code: int, reason: str) -> None:
        super().__init__(text)
        self.code, self.reason = code, reason


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A sentence that names the choice nearest to a mistyped word.

    Args:
        word: What was typed.
        choices: The valid words.

    Returns:
        ``" Did you mean 'lenet'?"`` with its leading space, or ``""`` if no choice is similar.
    """
    nearest = nearest_word(word, choices)
    return "" if nearest is None else f" Did you mean '{nearest}'?"


def nearest_word(word: str, choices: Iterable[str]) -> str | None:
    """The choice nearest to a mistyped word; None if none is similar."""
    names = {str(choice).lower(): str(choice) for choice in choices if len(str(choice)) <= _LONGEST_WORD}
    word = str(word)[:_LONGEST_WORD].lower()
    longer = sorted((name for name in names if len(word) > 3 and name.startswith(word)), key=lambda n: (len(n), n))
    matches = longer[:1] or difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return names[matches[0]] if matches else None


def plural(word: str) -> str:
    """What there are several of: ``labels`` of ``label``, ``label sets`` of ``label_set``; ``boxes`` stays."""
    word = word.replace("_", " ")
    return word if word.endswith("s") else f"{word}s"

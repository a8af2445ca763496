"""Exceptions with messages for the user, exit codes, and suggestions for misspelt words."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

__all__ = [
    "SLURM_SIGNAL",
    "ExitCode",
    "MissingKeyError",
    "Outcome",
    "ProcessError",
    "Terminated",
    "UnknownKeyError",
    "UserError",
    "did_you_mean",
    "nearest_word",
    "plural",
]


SLURM_SIGNAL: Final[signal.Signals | None] = getattr(signal, "SIGUSR1", None)
"""By which SLURM says that a job will end (``--signal=USR1@120``); it counts as SIGTERM. None on Windows."""

_LONGEST_WORD = 100
"""In letters; the search for similar words takes quadratic time."""


class ExitCode:
    """Exit codes of the command line."""

    DONE: Final = 0
    INTERNAL_ERROR: Final = 1
    USER_ERROR: Final = 2
    INTERRUPTED: Final = 130
    TERMINATED: Final = 143

    @staticmethod
    def of_signal(number: int) -> int:
        """The exit code of a command that a signal ended; `SLURM_SIGNAL` counts as SIGTERM."""
        return ExitCode.TERMINATED if number == SLURM_SIGNAL else 128 + number


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

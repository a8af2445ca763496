"""Exceptions with messages for the user, exit codes, and suggestions for misspelt words."""

import difflib
from collections.abc import Iterable
from typing import Final

__all__ = ["ExitCode", "ProcessError", "UserError", "did_you_mean", "plural"]


_LONGEST_WORD = 100
"""In letters; the search for similar words takes quadratic time."""


class ExitCode:
    """Exit codes of the command line."""

    DONE: Final = 0
    INTERNAL_ERROR: Final = 1
    USER_ERROR: Final = 2
    INTERRUPTED: Final = 130


class UserError(Exception):
    """A mistake in the input of the user; the message says what to type instead.

    The command line prints the message without a traceback and ends with exit code 2.
    """


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
    choices = [choice for choice in choices if len(choice) <= _LONGEST_WORD]
    matches = difflib.get_close_matches(str(word)[:_LONGEST_WORD], choices, n=1, cutoff=0.5)
    return f" Did you mean '{matches[0]}'?" if matches else ""


def plural(word: str) -> str:
    """What there are several of: ``labels`` of ``label``, ``label sets`` of ``label_set``; ``boxes`` stays."""
    word = word.replace("_", " ")
    return word if word.endswith("s") else f"{word}s"

"""Errors that have words for a person, and the words that help to mend them."""

import difflib
from collections.abc import Iterable
from enum import IntEnum

__all__ = ["ExitCode", "ProcessError", "UserError", "did_you_mean"]


class ExitCode(IntEnum):
    """With what a process ends."""

    DONE = 0
    INTERNAL_ERROR = 1
    USER_ERROR = 2
    INTERRUPTED = 130


class UserError(Exception):
    """What the user typed or pointed at is wrong; the message says what to type instead.

    The command line prints the message alone and ends with exit code 2; a library
    caller may catch it as any other exception.
    """


class ProcessError(Exception):
    """One of the processes that a run was spread over has failed, by no mistake of the user's.

    Args:
        text: All that there is to say of it, such as its traceback.
        code: Its exit code.
        reason: The same in a line.
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
        ``" Did you mean 'lenet'?"`` with its leading space, or ``""`` where nothing is near.
    """
    near = difflib.get_close_matches(str(word), list(choices), n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""

"""The one kind of error a person can mend, and the words that help to mend it."""

import difflib
from collections.abc import Iterable

__all__ = ["UserError", "did_you_mean"]


class UserError(Exception):
    """What the user typed or pointed at is wrong; the message says what to type instead.

    The command line prints the message alone and ends with exit code 2; a library
    caller may catch it as any other exception.
    """


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

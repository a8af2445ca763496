"""How arguments are written, before any is read: spaces around ``=``, missing values, and keys that are given twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from visionkit.cli.foreign_words import explain_word
from visionkit.errors import UserError

__all__ = ["PATH_KEYS", "Override", "check_arguments", "is_search"]

PATH_KEYS = frozenset({"dataset.root", "run", "run_dir", "weights", "backbone.weights", "source", "out"})
"""Keys whose values are paths: taken literally, not parsed by Hydra's grammar."""


_NULLABLE = ("run_dir", "weights", "backbone.weights", "dataset.root", "dataset.augment")


@dataclass(frozen=True)
class Override:
    """One argument.

    Attributes:
        key: The dotted key.
        text: The value as typed.
        delete: Whether it is ``~key`` or ``~key=value``.
        add: Whether it is ``+key=value``.
    """

    key: str
    text: str = ""
    delete: bool = False
    add: bool = False

    @classmethod
    def parse(cls, argument: str) -> Override | None:
        """Split an argument into key and value; None if it is no override."""
        sign = next((sign for sign in ("++", "+", "~") if argument.startswith(sign)), "")
        key, equals, text = argument[len(sign) :].partition("=")
        if not key or not (equals or sign == "~"):
            return None
        return cls(key, text, delete=sign == "~", add=sign == "+")


def check_arguments(arguments: Sequence[str], *, multirun: bool = False) -> None:
    """Check how overrides are written.

    Args:
        arguments: All arguments of a command but its verb and flags.
        multirun: Whether it is a sweep, for the error message.

    Raises:
        UserError: If there are spaces around ``=``, a value or a part of a key is missing, a key is given twice, or
            something is no text in UTF-8.
    """
    for number, argument in enumerate(arguments):
        _check_spaces(argument, arguments[number + 1 :])
        _check_text(argument)
    first: dict[str, str] = {}
    for argument in arguments:
        override = Override.parse(argument)
        if override is None:
            continue
        if "" in override.key.split("."):
            parts = ".".join(part for part in override.key.split(".") if part)
            raise UserError(f"'{argument}': a dot of the key has no word beside it. Type {parts}={override.text}")
        key = override.key.removesuffix(".type")  # head.type=fcos chooses as head=fcos does
        if key in first:
            earlier = Override.parse(first[key])
            values = [value for o in (earlier, override) if o is not None for value in o.text.split(",") if value]
            joined = ",".join(dict.fromkeys(values))
            hint = f" For a run with each: -m {key}={joined}" if multirun and "," in joined else ""
            raise UserError(
                f"'{key}' is given twice: {first[key]} and {argument}. Which of both holds is not guessed: "
                f"give it once.{hint}"
            )
        first[key] = argument


def _check_text(argument: str) -> None:
    """Check that a value can be written into a file of configuration; paths that are only read may be any bytes."""
    key = argument.partition("=")[0]
    if any("\ud800" <= sign <= "\udfff" for sign in argument) and key not in ("run", "source", "out"):
        raise UserError(
            f"'{argument}' has bytes that are no text in UTF-8, which config.yaml cannot hold. Rename the file or "
            "folder, or make a link to it with a name in UTF-8: ln -s OLD NEW"
        )
    if "\0" in argument:
        raise UserError(f"'{argument}' has a character of the code 0, which no file can hold. Leave it out.")


def _check_spaces(argument: str, rest: Sequence[str]) -> None:
    following = rest[0] if rest else ""
    if argument.startswith("="):
        raise UserError(f"'{argument}': nothing stands before the =. Expected key=value without spaces, such as seed=1")
    key, equals, text = argument.partition("=")
    if equals and key != key.strip():
        raise UserError(f"'{argument}': there are spaces around the =. Type {key.strip()}={text.strip()}")
    if equals and not text.strip():
        split = following and "=" not in following and not following.startswith("~")
        name = key.lstrip("+~")
        null = f", or {name}=null for none" if name in _NULLABLE else ""
        meant = key if key.startswith("~") else f"{name}=VALUE{null}"
        raise UserError(
            f"'{argument}': no value stands behind the =. "
            + (f"Type it without spaces: {key}={following}" if split else f"Type {meant}")
        )
    if equals and key not in PATH_KEYS and (sign := _unclosed(text)):
        whole = next(
            (
                " ".join([argument, *rest[:n]])
                for n in range(1, len(rest) + 1)
                if not _unclosed(" ".join([text, *rest[:n]]))
            ),
            "",
        )
        what = f"the {'quote' if sign in _QUOTES else 'bracket'} {sign} is not closed"
        if whole:
            outer = '"' if "'" in whole else "'"
            raise UserError(
                f"'{argument}': {what}, as the shell has split the value at its spaces. Quote it: {outer}{whole}{outer}"
            )
        raise UserError(
            f"'{argument}': {what}. Type the whole value, in quotes if it has spaces or brackets: '{key}=VALUE'"
        )
    if not equals and following.startswith("=") and re.fullmatch(r"[\w./+~-]+", argument):
        raise UserError(explain_word(argument, rest))


_QUOTES = "'\""
_BRACKETS = {"[": "]", "{": "}", "(": ")"}


def _unclosed(text: str) -> str:
    """The quote or bracket that a value opens and does not close; empty if there is none."""
    open_signs: list[str] = []
    escaped = False
    for sign in text:
        inside = open_signs[-1] if open_signs else ""
        if inside and inside in _QUOTES:
            if sign == inside and not escaped:
                open_signs.pop()
            escaped = sign == "\\" and not escaped
        elif sign in _QUOTES or sign in _BRACKETS:
            open_signs.append(sign)
        elif inside and sign == _BRACKETS[inside]:
            open_signs.pop()
    return open_signs[0] if open_signs else ""


def is_search(arguments: Sequence[str]) -> bool:
    """Whether an argument chooses the group ``sweep``, or changes one of its keys."""
    return any(argument.lstrip("+~").startswith(("sweep=", "sweep.")) for argument in arguments)

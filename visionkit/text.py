"""Text from people's files made safe where it is shown: terminals, JSON documents, tables of numbers, file names."""

import hashlib
import json
import math
import unicodedata
from collections.abc import Mapping
from typing import Any

__all__ = [
    "count_of",
    "fold_name",
    "json_text",
    "normal_form",
    "printable",
    "quote_cell",
    "replace_non_finite",
    "safe_file_name",
    "unquote_cell",
]

_MAX_NAME_BYTES = 236  # file systems take 255: the rest is for a suffix and for that of a file being written
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def normal_form(text: str) -> str:
    """Text in Unicode's composed form (NFC), in which names that look alike are equal; Macs write é as two signs."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def fold_name(name: str) -> str:
    """A name in small letters and Unicode's composed form, to compare names in any case and form."""
    return name.lower() if name.isascii() else normal_form(name).lower()


def count_of(count: int, word: str) -> str:
    """A number with its noun, in the plural unless it is 1: ``1 image``, ``1,200 images``, ``2 batches``."""
    if count == 1:
        return f"1 {word}"
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{count:,} {word[:-1]}ies"
    return f"{count:,} {word}{'es' if word.endswith(('s', 'sh', 'tch', 'nch', 'x')) else 's'}"


def printable(text: str, *, keep: str = "") -> str:
    r"""Text whose characters a terminal only shows: all others are escaped as in Python, such as ``\x1b``.

    Control characters move the cursor, clear the screen or ring; marks of direction and of no width make a name look
    like another; bytes of a file name that are no UTF-8 cannot be printed at all.

    Args:
        text: Any text, such as a message with the names of files and classes.
        keep: Characters to leave as they are, such as a line break.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep or unicodedata.category(char) == "Zs" else _escape(char)
        for char in text
    )


def replace_non_finite(value: Any) -> Any:
    """A copy of nested mappings and lists in which None replaces each float that is infinite or NaN."""
    if isinstance(value, Mapping):
        return {key: replace_non_finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [replace_non_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_text(document: Any, *, indent: int | None = None) -> str:
    r"""A document as JSON; a number that is not finite becomes null, and what `printable` escapes ``\u001b``.

    Args:
        document: Mappings, lists, numbers and strings.
        indent: As in `json.dumps`.
    """
    text = json.dumps(replace_non_finite(document), indent=indent, ensure_ascii=False, allow_nan=False)
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\n" or unicodedata.category(char) == "Zs" else json.dumps(char)[1:-1]
        for char in text
    )


def quote_cell(value: Any) -> Any:
    """A cell of a CSV file: text that a spreadsheet would run as a formula begins with ``'``; numbers stay.

    Args:
        value: A number, None or text, which becomes `printable`; a number may be written as text.
    """
    if not isinstance(value, str):
        return value
    text = printable(value, keep="\n")
    if not value.startswith(_FORMULA_SIGNS):
        return text
    try:
        float(value)
    except ValueError:
        return f"'{text}"
    return text


def unquote_cell(text: str) -> str:
    """The text of a cell that `quote_cell` made."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA_SIGNS) else text


def safe_file_name(name: str) -> str:
    """The name of a file to write, made of the name of one that was read: printable, and not too long.

    Args:
        name: The last part of a path; where it is cut, its suffix stays, and a hash tells it from others.
    """
    name = printable(name)
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix) > 16:
        stem, dot, suffix = name, "", ""
    size = _MAX_NAME_BYTES - len(f"{dot}{suffix}".encode())
    if len(stem.encode()) > size:
        mark = f"~{hashlib.sha256(stem.encode()).hexdigest()[:8]}"
        stem = stem.encode()[: size - len(mark)].decode(errors="ignore") + mark
    return f"{stem}{dot}{suffix}"


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")

"""A person's objects in a line, for ``config.yaml`` and messages."""

from __future__ import annotations

import re
import reprlib
from typing import Any

__all__ = ["describe_object", "describe_type"]

_MAX_LENGTH = 200

_REPR = reprlib.Repr()  # of a list of many images its own would take minutes
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 100_000


def describe_object(value: Any) -> str:
    """One line for an object, equal in each process: its repr without addresses, or the name of a function or class.

    Of a list, tuple, set or mapping the first items are shown; what is longer than 200 characters is cut.
    """
    try:
        text = f"{value.__module__}.{value.__qualname__}" if hasattr(value, "__qualname__") else _REPR.repr(value)
    except Exception:  # of the person's own method
        text = f"a {type(value).__name__}"
    text = " ".join(re.sub(r" at 0x[0-9a-fA-F]+", "", text).split())
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}..."


def describe_type(value: Any) -> str:
    """What kind of object was found: the name of a class, or of that of an instance."""
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"

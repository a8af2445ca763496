"""What every room needs to leave files behind: writes that are whole, and numbers that JSON has words for."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["finite", "write_atomic"]


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file beside its place and move it there, so that a reader sees all of it or the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def finite(value: Any) -> Any:
    """The same mappings, lists and numbers, with None for each number that is infinite or not a number."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

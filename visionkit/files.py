"""Atomic writes, and values that JSON can hold."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["replace_non_finite", "write_atomic"]


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a temporary file and move it to ``path``, so that readers see the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace_non_finite(value: Any) -> Any:
    """A copy of nested mappings and lists in which None replaces each float that is infinite or NaN."""
    if isinstance(value, Mapping):
        return {key: replace_non_finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [replace_non_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

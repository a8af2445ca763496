"""When a run was begun, without parsing its configuration: ``run=latest`` asks every run."""

from __future__ import annotations

import contextlib
import re
from datetime import datetime
from pathlib import Path

from visionkit.errors import UserError
from visionkit.files import read_text
from visionkit.yaml_files import MAX_YAML_BYTES

__all__ = ["STARTED_KEY", "TIME_FORMAT", "read_started"]

STARTED_KEY = "started"
"""Second entry of ``config.yaml``: when the run was begun, in ISO 8601 with the offset from UTC."""
TIME_FORMAT = "%Y-%m-%d_%H-%M-%S"
"""Of the names of folders."""

_STARTED = re.compile(rf"^{STARTED_KEY}: *['\"]?([^\s'\"#]+)", re.MULTILINE)
_NAME_LENGTH = 19


def read_started(config_file: Path, *, text: str | None = None) -> datetime | None:
    """When a run was begun, by its ``config.yaml`` or else by the name of its folder; None if neither says so.

    Args:
        config_file: The file.
        text: Its content, where it has been read.
    """
    with contextlib.suppress(UserError, OSError, OverflowError, ValueError):
        found = _STARTED.search(read_text(config_file, max_bytes=MAX_YAML_BYTES) if text is None else text)
        if found is not None:
            return datetime.fromisoformat(found[1]).astimezone()
    with contextlib.suppress(ValueError):
        return datetime.strptime(config_file.parent.name[:_NAME_LENGTH], TIME_FORMAT).astimezone()
    return None

"""The names under which services know a run, so that a resumed run goes on in its log."""

from __future__ import annotations

import json

from visionkit.distributed.comm import rank
from visionkit.runs.folder import RunFolder

__all__ = ["read_id", "store_id"]


def read_id(folder: RunFolder, service: str) -> str | None:
    """The name under which a service knows a run; None before it does."""
    try:
        names = json.loads(folder.loggers_file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    name = names.get(service) if isinstance(names, dict) else None
    return name if isinstance(name, str) else None


def store_id(folder: RunFolder, service: str, name: str) -> None:
    """Keep the name under which a service knows a run; the first process does so."""
    if rank() == 0:
        known = {each: read_id(folder, each) for each in ("mlflow", "wandb")} | {service: name}
        folder.write_json(folder.loggers_file, {key: value for key, value in known.items() if value is not None})

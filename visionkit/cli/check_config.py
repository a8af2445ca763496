"""The configuration of the verb ``check``: that of a training, of the task that the data set is for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from visionkit.cli.overrides import ParsedOverrides
from visionkit.cli.verb_configs import compose_finder
from visionkit.config_files import read_group_file
from visionkit.data.sources import SOURCES
from visionkit.errors import UserError
from visionkit.tasks.info import TASKS

__all__ = ["compose_check"]


def compose_check(parsed: ParsedOverrides, config_dirs: Sequence[Path]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration of the training that a data set is checked for, and the options of the check.

    Raises:
        UserError: As `visionkit.cli.verb_configs.compose_training`.
    """
    is_chosen = "task" in parsed.groups or "experiment" in parsed.groups or "run" in parsed.options
    if not is_chosen and "dataset" in parsed.groups:
        task = _task_of(parsed.groups["dataset"])
        parsed = replace(parsed, groups={**parsed.groups, "task": task}) if task is not None else parsed
    return compose_finder(parsed, config_dirs)


def _task_of(dataset: str) -> str | None:
    """The first task that a shipped data set has targets for; None for one of another folder."""
    try:
        source = read_group_file("dataset", dataset)["type"]
    except UserError:
        return None
    targets = SOURCES.get(source).targets if source in SOURCES.names() else ()
    return next((name for name, task in TASKS.items() if task.target in targets), None)

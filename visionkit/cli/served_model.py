"""What ``serve`` and ``demo`` answer with, and their options, from the words of a command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from visionkit.cli.overrides import ParsedOverrides, allow_only, read_value
from visionkit.cli.syntax import PATH_KEYS, Override
from visionkit.cli.verb_configs import CHANGEABLE_AFTER_TRAINING, compose_stored_run
from visionkit.errors import UserError
from visionkit.runs.config import RunConfig
from visionkit.runs.consistency import is_below
from visionkit.runs.exports import find_export
from visionkit.serving.served_model import ServedFile, ServedModel, ServedRun

__all__ = ["compose_served_model"]

_USED = ("hardware", "plugins")
"""What may be typed beside the options; other keys that a stored run may change mean nothing to a server."""
_WHY = {
    "format": "answers of serve are JSON as they are, and the page of demo is none",
    "run_dir": "a server writes no results",
}


def compose_served_model(
    parsed: ParsedOverrides, config_dirs: Sequence[Path], *, verb: str
) -> tuple[ServedModel, dict[str, Any]]:
    """The run or the exported file that ``run=`` names, and the options that were typed.

    Raises:
        UserError: If there is none, or something was typed that would change it or has no effect.
    """
    options = {key: read_value(Override(key, text)) for key, text in parsed.options.items() if key not in PATH_KEYS}
    file = find_export(parsed.options.get("run", "latest").strip("'\""))
    if file is not None:
        allow_only(
            parsed, (), reason=f"{verb} takes an exported file as it is",
            instead=f"Leave it out, or {verb} the run itself: run=FOLDER {{}}",
        )  # fmt: skip
        return ServedFile(file), options
    for key, text in [*parsed.groups.items(), *((value.key, value.text) for value in parsed.values)]:
        if is_below(key, CHANGEABLE_AFTER_TRAINING) and not is_below(key, _USED):
            why = f": {_WHY[key]}" if key in _WHY else ""
            raise UserError(
                f"{key}={text} has no effect on {verb}{why}. Leave it out. What may be typed beside the options of "
                f"{verb}: {', '.join(_USED)}."
            )
    plain, folder = compose_stored_run(parsed, config_dirs, verb=verb)
    return ServedRun(RunConfig.from_plain(plain, check_data=False), folder), options

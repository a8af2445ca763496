"""The verb ``check``: what is wrong with a data set, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from visionkit.checking.options import read_options
from visionkit.console import Printer, loading, print_json
from visionkit.report.tables import print_grid
from visionkit.runs.config import RunConfig

if TYPE_CHECKING:
    from visionkit.checking.report import CheckReport
    from visionkit.runs.objects import RunObjects

__all__ = ["check", "check_data"]


def check(plain: Mapping[str, Any], options: Mapping[str, Any]) -> int:
    """Check a data set, and print what was found.

    Args:
        plain: The resolved configuration of a training.
        options: Those of the check that were typed, as plain values.

    Returns:
        0, or 2 if a training would be stopped or its number be false.

    Raises:
        UserError: If an option or the configuration is wrong.
    """
    printer = Printer(to_stderr=plain["format"] == "json")
    report = check_data(plain, options, printer=printer)
    if plain["format"] == "json":
        print_json(report.to_json())
        return report.exit_code
    for grid in report.grids():
        print_grid(grid, "text")
    printer.print(*report.lines())
    return report.exit_code


def check_data(
    plain: Mapping[str, Any], options: Mapping[str, Any], *, printer: Printer, objects: RunObjects | None = None
) -> CheckReport:
    """What is found in a data set. Nothing is written to it.

    Args:
        plain: The resolved configuration of a training.
        options: Those of the check, as plain values.
        printer: Shows the progress.
        objects: What a person has given in Python.

    Raises:
        UserError: If an option or the configuration is wrong.
    """
    read = read_options(options)
    config = RunConfig.from_plain(plain, check_data=False, objects=objects)
    with loading():
        from visionkit.checking.check import run_check
    return run_check(config, read, printer=printer)

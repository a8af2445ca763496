"""The verb ``find``: a learning rate, or the size of a batch, for a network, its data and this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from visionkit.console import Printer, loading, print_json
from visionkit.errors import ExitCode, UserError, did_you_mean
from visionkit.files import new_picture_file, write_atomic
from visionkit.report.tables import print_grid
from visionkit.runs.config import RunConfig
from visionkit.text import json_text
from visionkit.training.finders.batch_sizes import BatchSizes
from visionkit.training.finders.options import SUBJECTS, read_options

if TYPE_CHECKING:
    from visionkit.runs.objects import RunObjects
    from visionkit.training.finders.rate_curve import RateCurve

__all__ = ["check_subject", "find", "run_finder"]


def check_subject(subject: str | None) -> str:
    """What is to be found.

    Raises:
        UserError: If it is not said, or nothing that can be found.
    """
    if subject is not None and subject in SUBJECTS:
        return subject
    found = "nothing is named." if subject is None else f"found '{subject}'.{did_you_mean(subject, SUBJECTS)}"
    raise UserError(
        f"find: {found} Expected lr, the learning rate, or batch, the size of a batch. Try: python -m "
        "visionkit find lr backbone=lenet"
    )


def find(subject: str, plain: Mapping[str, Any], options: Mapping[str, Any]) -> int:
    """Find a setting, and print it as a word to paste.

    Args:
        subject: Of `SUBJECTS`.
        plain: The resolved configuration of a training.
        options: Those of the finder that were typed, as plain values.

    Returns:
        0.

    Raises:
        UserError: As `run_finder`, or if the picture cannot be written.
    """
    read_options(subject, options)
    out = new_picture_file(options["out"], example="lr.png", beside=".json") if "out" in options else None
    printer = Printer(to_stderr=plain["format"] == "json")
    found = run_finder(subject, plain, options, printer=printer)
    document = {"find": subject, **found.to_json(), "picture": None if out is None else str(out)}
    if out is not None and not isinstance(found, BatchSizes):
        found.draw(out)
        write_atomic(out.with_suffix(".json"), json_text(document, indent=1) + "\n")
    if plain["format"] == "json":
        print_json(document)
        return ExitCode.DONE
    if isinstance(found, BatchSizes):
        print_grid(found.grid(), "text")
    printer.print(*found.lines())
    if out is not None:
        printer.print(f"Written: {out} and {out.with_suffix('.json')}")
    elif subject == "lr":
        printer.print("The curve as a picture, with all figures as JSON beside it: add out=lr.png")
    return ExitCode.DONE


def run_finder(
    subject: str,
    plain: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    printer: Printer,
    objects: RunObjects | None = None,
) -> RateCurve | BatchSizes:
    """What a finder has found. Nothing is written.

    Args:
        subject: Of `SUBJECTS`.
        plain: The resolved configuration of a training.
        options: Those of the finder, as plain values.
        printer: Shows what is done.
        objects: What a person has given in Python.

    Raises:
        UserError: If an option or the configuration is wrong, there are no training images, or nothing can be said.
    """
    read = read_options(subject, options)
    config = RunConfig.from_plain(plain, objects=objects)
    config.check_initial_weights()
    with loading():
        from visionkit.training.finders.find_batch import find_batch
        from visionkit.training.finders.find_rate import find_rate
    return find_rate(config, read, printer=printer) if subject == "lr" else find_batch(config, read, printer=printer)

"""The verb ``train``: a new run, or a resumed one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.console import loading
from visionkit.distributed.processes import Processes, is_first_process
from visionkit.errors import ExitCode, Outcome
from visionkit.files import check_writable
from visionkit.runs.config import RunConfig
from visionkit.runs.continuing import clear_unsaved, find_continuation
from visionkit.runs.folder import RunFolder
from visionkit.runs.objects import RunObjects

if TYPE_CHECKING:
    from visionkit.console import Printer

__all__ = ["train"]


def train(
    plain: Mapping[str, Any],
    *,
    resume_from: RunFolder | None = None,
    auto: bool = False,
    objects: RunObjects | None = None,
    callbacks: Sequence[Any] = (),
    logger: Any = None,
    printer: Printer | None = None,
) -> Outcome[Path | None]:
    """Train a model, and write all results into the run folder.

    Args:
        plain: The resolved configuration.
        resume_from: The run to resume in its own folder; None for a new run.
        auto: Whether what lies in ``run_dir`` decides if the run is begun, goes on, or is finished.
        objects: What a person has given in Python.
        callbacks: Further Lightning callbacks.
        logger: Lightning loggers, or False; None for those of the configuration.
        printer: The output, if not the default one.

    Returns:
        As `visionkit.training.fit.train`.

    Raises:
        UserError: If anything in the configuration is wrong; else as `visionkit.training.fit.train`.
    """
    first = is_first_process()  # it may have created the folder before the others look
    if auto:
        found = find_continuation(plain, objects or RunObjects())
        plain, resume_from = found.plain, found.resume_from
        if found.is_finished and resume_from is not None:
            if first:
                _say_finished(resume_from, as_json=plain["format"] == "json", printer=printer)
            return Outcome(ExitCode.DONE, resume_from.path)
        if first and resume_from is None:
            clear_unsaved(plain["run_dir"])
    if first and resume_from is not None:
        check_writable(resume_from.path, where="run")
    elif first:
        RunFolder.check_free(plain.get("run_dir"))
    config = RunConfig.from_plain(plain, objects=objects)
    if first and resume_from is None:
        RunFolder.check_free(config.run_dir, name=config.name)
        config.check_initial_weights()

    with loading():
        from visionkit.training import fit

        if not Processes.plan(config.hardware).to_launch:
            import visionkit.training.trainer  # noqa: F401 - Lightning takes longer than torch

    return fit.train(config, resume_from=resume_from, callbacks=callbacks, logger=logger, printer=printer)


def _say_finished(folder: RunFolder, *, as_json: bool, printer: Printer | None) -> None:
    from visionkit.console import Printer, print_json

    printer = printer or Printer(to_stderr=as_json)
    printer.print(f"The run in {folder.path} is finished: nothing is left to do.")
    if as_json:
        print_json({"run": str(folder.path), "metrics": folder.read_metrics(advice="Train the run again")})

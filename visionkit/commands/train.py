"""The verb ``train``: a new run, or a resumed one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.console import loading
from visionkit.distributed.processes import Processes, is_first_process
from visionkit.errors import Outcome
from visionkit.files import check_writable
from visionkit.runs.config import RunConfig
from visionkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from visionkit.console import Printer
    from visionkit.runs.objects import RunObjects

__all__ = ["train"]


def train(
    plain: Mapping[str, Any],
    *,
    resume_from: RunFolder | None = None,
    objects: RunObjects | None = None,
    callbacks: Sequence[Any] = (),
    logger: Any = None,
    printer: Printer | None = None,
) -> Outcome[Path | None]:
    """Train a model, and write all results into the run folder.

    Args:
        plain: The resolved configuration.
        resume_from: The run to resume in its own folder; None for a new run.
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

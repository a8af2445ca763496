"""The verb ``train``: a new run, or a resumed one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visionkit.distributed.processes import is_first_process
from visionkit.runs.config import RunConfig
from visionkit.runs.folder import RunFolder

__all__ = ["train"]


def train(plain: Mapping[str, Any], *, resume_from: RunFolder | None = None) -> int:
    """Train a model, and write all results into the run folder.

    Args:
        plain: The resolved configuration.
        resume_from: The run to resume in its own folder; None for a new run.

    Returns:
        As `visionkit.training.fit.train`.

    Raises:
        UserError: If anything in the configuration is wrong; else as `visionkit.training.fit.train`.
    """
    if is_first_process():  # it may have created the folder before the others look
        RunFolder.check_free(None if resume_from is not None else plain.get("run_dir"))
    config = RunConfig.from_plain(plain)

    from visionkit.training import fit

    return fit.train(config, resume_from=resume_from)

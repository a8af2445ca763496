"""One run among many: what it is, how it is made in this process, and what is left of it."""

from __future__ import annotations

import contextlib
import gc
import json
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.commands.train import INTERRUPTED, train
from visionkit.errors import UserError
from visionkit.training.run_folder import RunFolder

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from visionkit.commands.run_config import RunConfig
    from visionkit.data.shared import SharedData
    from visionkit.training.console import Printer

__all__ = ["Job", "Pruned", "Row", "read_metrics", "run_job"]


@dataclass(frozen=True)
class Job:
    """One run to be made.

    Attributes:
        number: Its place in the sweep and the name of its folder.
        overrides: The swept keys and this run's values, as typed.
        config: The validated run; None where the values do not go together.
        problem: Why not.
    """

    number: int
    overrides: Mapping[str, str]
    config: RunConfig | None
    problem: str = ""


@dataclass
class Row:
    """What is known of one run: a line of ``sweep.csv``.

    Attributes:
        number: The run.
        overrides: The swept keys and this run's values.
        status: ``done``, ``failed``, ``interrupted`` or ``pruned``.
        metrics: As in the run's ``metrics.json``, without its parameters.
        parameters: Of the model; None where the run did not end.
        seconds: From start to end, everything included.
        reason: Why it is not done.
    """

    number: int
    overrides: Mapping[str, str]
    status: str
    metrics: dict[str, float] = field(default_factory=dict)
    parameters: int | None = None
    seconds: float = 0.0
    reason: str = ""


class Pruned(BaseException):
    """A search has seen enough of a run."""


def run_job(
    job: Job,
    *,
    printer: Printer,
    shared: SharedData | None = None,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Row:
    """Train as a single command would, and let nothing but its row out, whatever happens.

    Args:
        job: The run.
        printer: For what the run has to say.
        shared: The data that earlier runs in this process have read.
        resume: Whether the folder holds a run to go on with.
        callbacks: Of Lightning, which look on.
    """
    row = Row(job.number, job.overrides, "failed", reason=job.problem)
    if job.config is None:
        return row
    assert job.config.run_dir is not None
    folder = RunFolder(Path(job.config.run_dir).expanduser())
    began = time.perf_counter()
    try:
        code = train(
            job.config, resume_from=folder if resume else None, callbacks=callbacks, printer=printer, shared=shared
        )
        if code == INTERRUPTED:
            row.status = "interrupted"
        elif code:
            row.reason = f"ended with exit code {code}; see {folder.log_file}"
        else:
            row.status, (row.metrics, row.parameters) = "done", read_metrics(folder)
    except KeyboardInterrupt:
        row.status = "interrupted"
    except Pruned:
        row.status, row.reason = "pruned", "worse than the others at this epoch"
    except UserError as error:
        row.reason = str(error)
        _log(folder, f"visionkit: {error}\n")
    except (Exception, SystemExit) as error:
        row.reason = f"{type(error).__name__}: {error}".strip().split("\n")[0]
        _log(folder, traceback.format_exc())
    row.seconds = round(time.perf_counter() - began, 2)
    _clean_up(job.config)
    return row


def read_metrics(folder: RunFolder) -> tuple[dict[str, float], int | None]:
    """The numbers of a run that ended, and the parameters of its model."""
    metrics: dict[str, Any] = json.loads(folder.metrics_file.read_text(encoding="utf-8"))
    parameters = metrics.pop("parameters", None)
    return {name: float("nan") if value is None else value for name, value in metrics.items()}, parameters


def _log(folder: RunFolder, text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk ends no sweep
        folder.path.mkdir(parents=True, exist_ok=True)
        with folder.log_file.open("a", encoding="utf-8") as file:
            file.write(text)


def _clean_up(config: RunConfig) -> None:
    """Free what a run leaves in cycles, so that the next one finds the memory of the first."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if config.hardware.compile:
        torch.compiler.reset()  # it gives up on a layer after compiling it for some eight runs
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()

"""One run of a sweep: the job, its execution in this process, and its row of the table."""

from __future__ import annotations

import contextlib
import gc
import math
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from visionkit.errors import ExitCode, ProcessError, UserError
from visionkit.files import expand_user
from visionkit.os_errors import os_error_message
from visionkit.registry import plugin_failure
from visionkit.runs.folder import RunFolder
from visionkit.sweeps.signals import Signals
from visionkit.text import printable
from visionkit.training.fit import train

if TYPE_CHECKING:
    from visionkit.console import Printer
    from visionkit.data.shared_cache import SharedCache
    from visionkit.runs.config import RunConfig

__all__ = ["PRUNED_REASON", "STATUSES", "Job", "Pruned", "RunRow", "read_metrics", "run_job"]

STATUSES = ("done", "failed", "interrupted", "pruned")
PRUNED_REASON = "worse than the others at this epoch"


@dataclass(frozen=True)
class Job:
    """One run of a sweep that is to be trained.

    Attributes:
        number: Its index in the sweep and the name of its folder.
        overrides: The swept keys and this run's values, as typed.
        config: The validated configuration; None if the run cannot be trained.
        problem: The reason.
    """

    number: int
    overrides: Mapping[str, str]
    config: RunConfig | None
    problem: str = ""

    def with_run_dir(self, run_dir: str) -> Job:
        """A copy with the folder of the run."""
        if self.config is None:
            return self
        plain = {**self.config.plain, "run_dir": run_dir}
        return replace(self, config=replace(self.config, run_dir=run_dir, plain=plain))


@dataclass
class RunRow:
    """The state and result of one run: a row of ``sweep.csv``.

    Attributes:
        number: The number of the run.
        overrides: The swept keys and this run's values.
        status: One of `STATUSES`.
        metrics: As in the run's ``metrics.json``, without its parameters.
        parameters: Number of parameters of the model; None if the run is not done.
        seconds: Wall-clock time, that before a resume included.
        reason: Why the run is not done; empty if it is.
    """

    number: int
    overrides: Mapping[str, str]
    status: str
    metrics: dict[str, float] = field(default_factory=dict)
    parameters: int | None = None
    seconds: float = 0.0
    reason: str = ""


class Pruned(BaseException):
    """Raised in a run to end it because the pruner of the search has decided so."""


def run_job(
    job: Job,
    *,
    printer: Printer,
    signals: Signals,
    shared: SharedCache | None = None,
    elapsed: float | None = None,
    callbacks: Sequence[Any] = (),
) -> RunRow:
    """Train as a single command would; exceptions become the status and reason of the row.

    Args:
        job: The run, with its folder.
        printer: For the output of the run.
        signals: The handler of Ctrl-C and SIGTERM.
        shared: The cache of data that earlier runs in this process have read.
        elapsed: Seconds that a resumed run has been trained for; None for a new run.
        callbacks: Additional Lightning callbacks.
    """
    if job.config is None:
        return RunRow(job.number, job.overrides, "failed", reason=job.problem)
    assert job.config.run_dir is not None
    config, row = job.config, RunRow(job.number, job.overrides, "interrupted")
    folder = RunFolder(expand_user(job.config.run_dir))
    resume_from = None if elapsed is None else folder
    start = time.perf_counter()
    signals.interruptible(
        lambda: _train_and_record(
            row,
            folder,
            lambda: train(config, resume_from=resume_from, callbacks=callbacks, printer=printer, shared=shared).code,
            signals,
        )
    )
    if row.status == "interrupted" and folder.metrics_file.exists():
        _mark_done(row, folder)
    row.seconds = round((elapsed or 0) + time.perf_counter() - start, 2)
    _free_memory(config)
    return row


def _train_and_record(row: RunRow, folder: RunFolder, train_fn: Callable[[], int], signals: Signals) -> None:
    """Train the run and set status and result of its row; `KeyboardInterrupt` is not caught."""
    try:
        code = train_fn()
        if code == ExitCode.DONE:
            _mark_done(row, folder)
        signals.code = signals.code or code
    except Pruned:
        row.status, row.reason = "pruned", PRUNED_REASON
    except UserError as error:
        row.status, row.reason = "failed", str(error)
        _append_to_log(folder, f"visionkit: {error}\n")
    except ProcessError as error:
        row.status, row.reason = "failed", error.reason
        _append_to_log(folder, f"{error}\n")
    except (Exception, SystemExit) as error:
        reason = plugin_failure(error) or os_error_message(error) or f"{type(error).__name__}: {error}"
        row.status, row.reason = "failed", reason.strip().split("\n")[0]
        _append_to_log(folder, traceback.format_exc())


def _mark_done(row: RunRow, folder: RunFolder) -> None:
    row.status, (row.metrics, row.parameters) = "done", read_metrics(folder)


def read_metrics(folder: RunFolder) -> tuple[dict[str, float], int | None]:
    """The metrics of a finished run, and the number of parameters of its model.

    Raises:
        UserError: If ``metrics.json`` does not hold numbers.
    """
    metrics = folder.read_metrics(advice=f"Delete the folder '{folder.path}' to make the run again.")
    parameters = metrics.pop("parameters", math.nan)
    return metrics, int(parameters) if math.isfinite(parameters) else None


def _append_to_log(folder: RunFolder, text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk must not end the sweep
        folder.path.mkdir(parents=True, exist_ok=True)
        with folder.log_file.open("a", encoding="utf-8") as file:
            file.write(printable(text, keep="\n"))


def _free_memory(config: RunConfig) -> None:
    """Free the memory of a run, including reference cycles, before the next one starts."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if config.hardware.compile:
        torch.compiler.reset()  # otherwise its recompile limit is reached after some eight runs
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()

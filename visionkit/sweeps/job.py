"""One run among many: what it is, how it is made in this process, and what is left of it."""

from __future__ import annotations

import contextlib
import gc
import json
import math
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.errors import ProcessError, UserError
from visionkit.runs.folder import RunFolder
from visionkit.sweeps.signals import Signals
from visionkit.training.fit import train

if TYPE_CHECKING:
    from visionkit.console import Printer
    from visionkit.data.shared_cache import SharedCache
    from visionkit.runs.config import RunConfig

__all__ = ["PRUNED", "STATUSES", "Job", "Pruned", "Row", "read_metrics", "run_job"]

STATUSES = ("done", "failed", "interrupted", "pruned")
PRUNED = "worse than the others at this epoch"


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

    def at(self, run_dir: str) -> Job:
        """The same run with its folder."""
        if self.config is None:
            return self
        plain = {**self.config.plain, "run_dir": run_dir}
        return replace(self, config=replace(self.config, run_dir=run_dir, plain=plain))


@dataclass
class Row:
    """What is known of one run: a line of ``sweep.csv``.

    Attributes:
        number: The run.
        overrides: The swept keys and this run's values.
        status: One of `STATUSES`.
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
    signals: Signals,
    shared: SharedCache | None = None,
    behind: float | None = None,
    callbacks: Sequence[Any] = (),
) -> Row:
    """Train as a single command would, and let nothing but its row out, whatever happens.

    Args:
        job: The run, with its folder.
        printer: For what the run has to say.
        signals: What ends it.
        shared: The data that earlier runs in this process have read.
        behind: Seconds that a run which goes on has behind it; None for a new one.
        callbacks: Of Lightning, which look on.
    """
    if job.config is None:
        return Row(job.number, job.overrides, "failed", reason=job.problem)
    assert job.config.run_dir is not None
    config, row = job.config, Row(job.number, job.overrides, "interrupted")
    folder = RunFolder(Path(job.config.run_dir).expanduser())
    resume_from = None if behind is None else folder
    began = time.perf_counter()
    signals.interruptible(
        lambda: _fill(
            row,
            folder,
            lambda: train(config, resume_from=resume_from, callbacks=callbacks, printer=printer, shared=shared),
        )
    )
    if row.status == "interrupted" and folder.metrics_file.exists():
        _done(row, folder)
    row.seconds = round((behind or 0) + time.perf_counter() - began, 2)
    _clean_up(config)
    return row


def _fill(row: Row, folder: RunFolder, make: Callable[[], int]) -> None:
    """Make the run and say in its row what became of it; Ctrl-C passes through."""
    try:
        if make() == 0:
            _done(row, folder)
    except Pruned:
        row.status, row.reason = "pruned", PRUNED
    except UserError as error:
        row.status, row.reason = "failed", str(error)
        _log(folder, f"visionkit: {error}\n")
    except ProcessError as error:
        row.status, row.reason = "failed", error.reason
        _log(folder, f"{error}\n")
    except (Exception, SystemExit) as error:
        row.status, row.reason = "failed", f"{type(error).__name__}: {error}".strip().split("\n")[0]
        _log(folder, traceback.format_exc())


def _done(row: Row, folder: RunFolder) -> None:
    row.status, (row.metrics, row.parameters) = "done", read_metrics(folder)


def read_metrics(folder: RunFolder) -> tuple[dict[str, float], int | None]:
    """The numbers of a run that ended, and the parameters of its model.

    Raises:
        UserError: If somebody has changed the file into something else.
    """
    try:
        metrics = dict(json.loads(folder.metrics_file.read_text(encoding="utf-8")))
        parameters = metrics.pop("parameters", None)
        numbers = {name: math.nan if value is None else value for name, value in metrics.items()}
        sum(numbers.values())  # anything but numbers has none
        return numbers, parameters
    except (ValueError, TypeError) as error:
        raise UserError(
            f"resume: '{folder.metrics_file}' cannot be read: {error}. Expected the numbers that the run wrote. "
            f"Delete the folder '{folder.path}' to make the run again."
        ) from None


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

"""``-m``: many runs, one after the other in this process or side by side, and one table in the end."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from visionkit.console import Printer
from visionkit.errors import ExitCode, UserError
from visionkit.sweeps.folder import SweepFolder
from visionkit.sweeps.job import Job, Row, run_job
from visionkit.sweeps.signals import Signals
from visionkit.sweeps.summary import SweepSummary, shorten
from visionkit.training.setup import check_processes

if TYPE_CHECKING:
    from visionkit.distributed.processes import Processes
    from visionkit.settings import Hardware
    from visionkit.tasks.info import TaskInfo

__all__ = ["SweepOptions", "check_devices", "stdout_for_json", "status_line", "sweep"]


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """How a sweep is made.

    Attributes:
        resume: Go on with the sweep in the folder.
        as_json: Print one JSON document.
        launcher: ``basic``, one run after the other, or ``joblib``, side by side.
        n_jobs: How many side by side; None for one per GPU, or per core.
        command: What was typed, without the folder and ``resume``, for the line that says how to go on.
    """

    resume: bool
    as_json: bool
    launcher: str = "basic"
    n_jobs: int | None = None
    command: str


def sweep(jobs: Sequence[Job], folder: SweepFolder, options: SweepOptions) -> int:
    """Make every run, whatever becomes of the others, and say which was best.

    Args:
        jobs: The runs.
        folder: Where to.
        options: How.

    Returns:
        0; 2 if a run failed; 130 after Ctrl-C, with everything kept that was done.

    Raises:
        UserError: If every run is wrong, before anything is written.
    """
    jobs = check_devices(jobs, side_by_side=options.launcher == "joblib")
    printer = Printer(to_stderr=options.as_json)
    todo = [job for job in jobs if not (options.resume and folder.finished(job))]
    folder.start()
    if len(todo) < len(jobs):
        printer.print(f"{len(jobs) - len(todo)} of {len(jobs)} runs are done already")
    with stdout_for_json(options.as_json), Signals() as signals:
        interrupted = (
            _one_by_one(jobs, todo, folder, printer, signals)
            if options.launcher == "basic"
            else _beside(jobs, todo, folder, printer, signals, options.n_jobs)
        )
    info = next(job.config.task for job in jobs if job.config is not None)
    failed = any(row.status == "failed" for row in folder.rows.values())
    SweepSummary(folder, info, options.command, options.as_json).print(printer, again=interrupted or failed)
    if interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.USER_ERROR if failed else ExitCode.DONE


def check_devices(jobs: Sequence[Job], *, side_by_side: bool = False) -> list[Job]:
    """Mark the runs whose devices are not there, or whose batch does not divide among them.

    Args:
        jobs: The runs.
        side_by_side: Whether each run is to have one GPU, where it computes on GPUs.

    Raises:
        UserError: If every run has a problem.
    """
    checked = []
    for job in jobs:
        if job.config is not None:
            try:
                check_processes(job.config, _spread(job.config.hardware, side_by_side), watched=False)
            except UserError as error:
                job = replace(job, config=None, problem=str(error))
        checked.append(job)
    problems = dict.fromkeys(job.problem for job in checked)
    if all(job.config is None for job in checked):
        first = checked[0].problem
        raise UserError(first if len(problems) == 1 else f"no run of this sweep can be made. Run 0: {first}")
    return checked


def _spread(hardware: Hardware, side_by_side: bool) -> Processes:
    from visionkit.distributed.devices import choose_accelerator
    from visionkit.distributed.processes import Processes

    if side_by_side and choose_accelerator(hardware) == "cuda":
        if hardware.devices not in ("auto", 1):
            raise UserError(
                f"hardware.devices: found {hardware.devices}, but hydra/launcher=joblib gives each run a GPU of its "
                "own. Try: hardware.devices=1, or leave hydra/launcher=joblib out"
            )
        hardware = replace(hardware, devices=1)
    return Processes.plan(hardware)


def _heading(job: Job, jobs: Sequence[Job]) -> str:
    """The line above a run."""
    values = " ".join(f"{key}={shorten(value)}" for key, value in job.overrides.items())
    place = [other.number for other in jobs].index(job.number) + 1
    return f"run {job.number}  ({place} of {len(jobs)})  {values}"


def status_line(row: Row, info: TaskInfo | None) -> str:
    """The line below a run."""
    if row.status != "done" or info is None:
        return f"{row.status}: {row.reason}" if row.reason else row.status
    names = (info.monitor, info.monitor.replace("val/", "test/"))
    numbers = "  ".join(f"{name} {row.metrics[name]:.4f}" for name in names if name in row.metrics)
    return f"done  {numbers}  {row.seconds:.1f} s"


def _one_by_one(
    jobs: Sequence[Job], todo: Sequence[Job], folder: SweepFolder, printer: Printer, signals: Signals
) -> bool:
    """Whether Ctrl-C ended it."""
    from visionkit.data.shared_cache import SharedCache

    shared = SharedCache()
    for job in todo:
        if signals.count:
            return True
        printer.print(_heading(job, jobs))
        row = run_job(
            job.at(folder.run_dir(job.number)),
            printer=Printer(console=printer.console, brief=True),
            signals=signals,
            shared=shared,
            behind=folder.clear_or_resume(job),
        )
        folder.put(row)
        printer.print(f"  {status_line(row, job.config.task if job.config is not None else None)}")
        if row.status == "interrupted":
            return True
    return False


def _beside(
    jobs: Sequence[Job],
    todo: Sequence[Job],
    folder: SweepFolder,
    printer: Printer,
    signals: Signals,
    n_jobs: int | None,
) -> bool:
    from visionkit.sweeps.parallel import run_parallel

    return run_parallel(
        [job.at(folder.run_dir(job.number)) for job in todo],
        n_jobs=n_jobs,
        signals=signals,
        clear_or_resume=folder.clear_or_resume,
        begun=lambda job: printer.print(_heading(job, jobs)),
        ended=lambda job, row: _record(folder, printer, job, row),
    )


def _record(folder: SweepFolder, printer: Printer, job: Job, row: Row) -> None:
    folder.put(row)
    printer.print(f"run {row.number} {status_line(row, job.config.task if job.config is not None else None)}")


@contextlib.contextmanager
def stdout_for_json(as_json: bool) -> Iterator[None]:
    """Keep standard output for the document, also against processes that a run starts."""
    if not as_json:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)

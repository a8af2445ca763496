"""``-m``: runs all jobs of a sweep, sequentially in this process or in parallel, and prints a summary."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from visionkit.console import Printer
from visionkit.errors import ExitCode, UserError
from visionkit.metric_names import metric_title
from visionkit.sweeps.folder import SweepFolder
from visionkit.sweeps.job import Job, RunRow, run_job
from visionkit.sweeps.pictures import draw_sweep
from visionkit.sweeps.signals import Signals
from visionkit.sweeps.summary import SweepSummary, shorten
from visionkit.text import count_of
from visionkit.training.setup import check_processes

if TYPE_CHECKING:
    from visionkit.distributed.processes import Processes
    from visionkit.settings import Hardware
    from visionkit.tasks.info import TaskInfo

__all__ = ["SweepOptions", "check_devices", "stdout_for_json", "status_line", "sweep"]

_NAMED = 3
"""At most so many problems of runs that cannot be made are told."""


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """Options of a sweep.

    Attributes:
        resume: Resume the sweep in the folder.
        as_json: Print the summary as one JSON document.
        launcher: ``basic`` for sequential or ``joblib`` for parallel runs.
        n_jobs: Number of parallel runs; None or -1 for one per GPU, or per core.
        command: The arguments without ``run_dir`` and ``resume``, for printing the command that resumes the sweep.
        silent: Print nothing.
    """

    resume: bool
    as_json: bool
    launcher: str = "basic"
    n_jobs: int | None = None
    command: str
    silent: bool = False

    def printer(self) -> Printer:
        """The output of the sweep."""
        return Printer.silent() if self.silent else Printer(to_stderr=self.as_json)


# Three runs of LeNet take 0.45 of the time of three commands, as Hydra's launchers start them: tools/bench_sweep.py.
def sweep(jobs: Sequence[Job], folder: SweepFolder, options: SweepOptions) -> int:
    """Run all jobs, even if some fail, and print a summary.

    Args:
        jobs: The runs.
        folder: The folder of the sweep.
        options: The options of the sweep.

    Returns:
        0; 2 if a run failed; 130 after Ctrl-C, 143 after SIGTERM, with all finished runs recorded.

    Raises:
        UserError: If no run can start, before anything is written.
    """
    jobs = check_devices(jobs, parallel=options.launcher == "joblib")
    printer = options.printer()
    folder.info = info = next(job.config.task for job in jobs if job.config is not None)
    folder.say = printer.announce
    finished = {job.number for job in jobs if options.resume and folder.finished(job)}
    pending = [job for job in jobs if job.config is not None and job.number not in finished]
    folder.start()
    printer.log_to(folder.log_file)
    try:
        if finished:
            printer.print(f"{len(finished)} of {len(jobs)} runs are done already")
        _record_impossible([job for job in jobs if job.number not in finished], folder, printer)
        with stdout_for_json(options.as_json), Signals() as signals:
            interrupted = (
                _run_sequentially(jobs, pending, folder, printer, signals)
                if options.launcher == "basic"
                else _run_in_parallel(jobs, pending, folder, printer, signals, options.n_jobs)
            )
    finally:
        folder.release()
    failed = any(row.status == "failed" for row in folder.rows.values())
    draw_sweep(folder, info)
    SweepSummary(folder, info, options.command, options.as_json).print(printer, resumable=interrupted or failed)
    if interrupted:
        return signals.code or ExitCode.INTERRUPTED
    return ExitCode.USER_ERROR if failed else ExitCode.DONE


def check_devices(jobs: Sequence[Job], *, parallel: bool = False) -> list[Job]:
    """Give the jobs a problem whose devices do not exist, or whose batch cannot be divided among them.

    Args:
        jobs: The runs.
        parallel: Whether each run gets a single GPU, if it uses GPUs.

    Raises:
        UserError: If all runs have a problem.
    """
    checked = []
    for job in jobs:
        if job.config is not None:
            try:
                check_processes(job.config, _plan_processes(job.config.hardware, parallel))
            except UserError as error:
                job = replace(job, config=None, problem=str(error))
        checked.append(job)
    problems = dict.fromkeys(job.problem for job in checked)
    if all(job.config is None for job in checked):
        first = checked[0].problem
        raise UserError(first if len(problems) == 1 else f"no run of this sweep can be made. Run 0: {first}")
    return checked


def _record_impossible(jobs: Sequence[Job], folder: SweepFolder, printer: Printer) -> None:
    """Give the runs that cannot be made their rows, and say why, before the first of the others takes its minutes."""
    wrong = [job for job in jobs if job.config is None]
    if not wrong:
        return
    for job in wrong:
        folder.add_row(RunRow(job.number, job.overrides, "failed", reason=job.problem))
    problems: dict[str, list[Job]] = {}
    for job in wrong:
        problems.setdefault(job.problem, []).append(job)
    verb = "is" if len(wrong) == 1 else "are"
    printer.print(f"{len(wrong)} of the {count_of(len(jobs), 'run')} of this sweep cannot be made and {verb} left out:")
    for problem, same in list(problems.items())[:_NAMED]:
        others = f" and {count_of(len(same) - 1, 'more run')}" if len(same) > 1 else ""
        printer.print(f"  run {same[0].number} ({_values(same[0])}){others}: {problem}")
    if len(problems) > _NAMED:
        printer.print(f"  and {count_of(len(problems) - _NAMED, 'other problem')}; all stand in {folder.table_file}")


def _plan_processes(hardware: Hardware, parallel: bool) -> Processes:
    from visionkit.distributed.devices import choose_accelerator
    from visionkit.distributed.processes import Processes

    if parallel and choose_accelerator(hardware) == "cuda":
        if hardware.devices not in ("auto", 1):
            raise UserError(
                f"hardware.devices: found {hardware.devices}, but hydra/launcher=joblib gives each run a GPU of its "
                "own. Try: hardware.devices=1, or leave hydra/launcher=joblib out"
            )
        hardware = replace(hardware, devices=1)
    return Processes.plan(hardware)


def _heading(job: Job, jobs: Sequence[Job]) -> str:
    """The line that announces a run."""
    position = [listed.number for listed in jobs].index(job.number) + 1
    return f"run {job.number}  ({position} of {len(jobs)})  {_values(job)}"


def _values(job: Job) -> str:
    """The swept keys and the values of a run."""
    return " ".join(f"{key}={shorten(value)}" for key, value in job.overrides.items())


def status_line(row: RunRow, info: TaskInfo | None) -> str:
    """The line that reports the result of a run."""
    if row.status != "done" or info is None:
        return f"{row.status}: {row.reason}" if row.reason else row.status
    number = f"{metric_title(info.monitor)} {row.metrics[info.monitor]:.4f}  " if info.monitor in row.metrics else ""
    return f"done  {number}{row.seconds:.1f} s"


def _run_sequentially(
    jobs: Sequence[Job], pending: Sequence[Job], folder: SweepFolder, printer: Printer, signals: Signals
) -> bool:
    """Run the pending jobs in this process; whether Ctrl-C interrupted them."""
    from visionkit.data.shared_cache import SharedCache

    shared = SharedCache()
    for job in pending:
        if signals.count:
            return True
        printer.print(_heading(job, jobs))
        row = run_job(
            job.with_run_dir(folder.run_dir(job.number)),
            printer=Printer(console=printer.console, brief=True),
            signals=signals,
            shared=shared,
            elapsed=folder.clear_or_resume(job),
        )
        folder.add_row(row)
        printer.print(f"  {status_line(row, job.config.task if job.config is not None else None)}")
        if row.status == "interrupted":
            return True
    return False


def _run_in_parallel(
    jobs: Sequence[Job],
    pending: Sequence[Job],
    folder: SweepFolder,
    printer: Printer,
    signals: Signals,
    n_jobs: int | None,
) -> bool:
    from visionkit.sweeps.parallel import run_parallel

    return run_parallel(
        [job.with_run_dir(folder.run_dir(job.number)) for job in pending],
        n_jobs=n_jobs,
        signals=signals,
        clear_or_resume=folder.clear_or_resume,
        on_start=lambda job: printer.print(_heading(job, jobs)),
        on_end=lambda job, row: _record_row(folder, printer, job, row),
    )


def _record_row(folder: SweepFolder, printer: Printer, job: Job, row: RunRow) -> None:
    folder.add_row(row)
    printer.print(f"run {row.number} {status_line(row, job.config.task if job.config is not None else None)}")


@contextlib.contextmanager
def stdout_for_json(as_json: bool) -> Iterator[None]:
    """With ``as_json``, redirect standard output to standard error, also of processes that a run starts."""
    if not as_json:
        yield
        return
    sys.stdout.flush()
    saved_fd = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(saved_fd, 1)
        os.close(saved_fd)

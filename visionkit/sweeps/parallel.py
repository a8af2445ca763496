"""Runs jobs in parallel, in processes with a share of the cores or one GPU each, which are reused for several jobs.

The processes are those of loky (in joblib): spawned, so that CUDA works in them, without importing the caller's script.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from visionkit.runs.config import RunConfig
from visionkit.sweeps.job import Job, RunRow, run_job
from visionkit.sweeps.signals import Signals

__all__ = ["worker_environments", "run_parallel"]

POLL_SECONDS = 0.2
SAVE_SECONDS = 30.0

_shared: Any = None
_signals = Signals()
_busy = threading.Event()


def worker_environments(n_jobs: int | None, *, jobs: int, gpus: int, cores: int) -> list[dict[str, str]]:
    """The environment variables of each worker process: its GPU and its share of the cores.

    Args:
        n_jobs: Number of processes; None or -1 for one per GPU, or per core if there is no GPU.
        jobs: Number of runs, the maximum number of processes.
        gpus: Number of GPUs of this machine; 0 if none is used.
        cores: Number of CPU cores that this process may use.
    """
    requested = (gpus or cores) if n_jobs in (None, -1) else n_jobs
    num_workers = max(1, min(requested or 1, jobs))
    threads = str(max(1, cores // num_workers))
    env = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = visible.split(",") if visible else [str(index) for index in range(gpus)]
    return [env | ({"CUDA_VISIBLE_DEVICES": devices[index % gpus]} if gpus else {}) for index in range(num_workers)]


def run_parallel(
    jobs: Sequence[Job],
    *,
    n_jobs: int | None,
    signals: Signals,
    clear_or_resume: Callable[[Job], float | None],
    on_start: Callable[[Job], None],
    on_end: Callable[[Job, RunRow], None],
) -> bool:
    """Run jobs in parallel.

    Args:
        jobs: The runs with their folders, in the order to start them.
        n_jobs: Number of processes, see `worker_environments`.
        signals: The handler of signals, which are forwarded to the runs; the third one kills them.
        clear_or_resume: See `visionkit.sweeps.folder.SweepFolder.clear_or_resume`.
        on_start: Called with each job that starts.
        on_end: Called with each job that ended and its row.

    Returns:
        Whether the runs were interrupted; the running ones have then saved a checkpoint.
    """
    import torch

    from visionkit.distributed.devices import available_cores

    waiting = list(jobs)
    on_gpu = any(job.config is not None and job.config.hardware.accelerator in ("auto", "gpu") for job in jobs)
    gpus = torch.cuda.device_count() if on_gpu else 0
    workers = [
        _Worker(env) for env in worker_environments(n_jobs, jobs=len(waiting), gpus=gpus, cores=available_cores())
    ]
    running: dict[Future[RunRow], _Worker] = {}
    forwarded, interrupted = 0, False
    try:
        while running or (waiting and not signals.count):
            for worker in workers:
                if waiting and not signals.count and worker not in running.values():
                    job = waiting.pop(0)
                    on_start(job)
                    running[worker.start(job, elapsed=clear_or_resume(job))] = worker
            finished, _ = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            if signals.count > forwarded:
                forwarded = signals.count
                for worker in running.values():
                    worker.interrupt(kill=forwarded > 2)
            for future in finished:
                worker = running.pop(future)
                row = worker.row(future)
                interrupted = interrupted or row.status == "interrupted"
                on_end(worker.job, row)
    finally:
        for worker in workers:
            worker.close()
    return interrupted or bool(waiting)


class _Worker:
    """A process that runs one job at a time.

    Args:
        env: Environment variables, in addition to those of this process.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.job: Job
        self._killed = False
        self._pool: Any = None
        self._pid: Future[int] | None = None

    def start(self, job: Job, *, elapsed: float | None) -> Future[RunRow]:
        """Start a run, or resume one that has been trained for ``elapsed`` seconds."""
        from joblib.externals.loky import ProcessPoolExecutor

        if self._pool is None:
            self._pool = ProcessPoolExecutor(max_workers=1, env=dict(self.env), timeout=None)
            self._pid = self._pool.submit(_initialize_worker, os.getpid())
        self.job = job
        config = job.config
        plain = None if config is None else dict(config.plain)
        future: Future[RunRow] = self._pool.submit(
            _run_in_worker, job.number, dict(job.overrides), plain, job.problem, elapsed
        )
        return future

    def row(self, future: Future[RunRow]) -> RunRow:
        """The row of the run; that of a process that died is failed, and the next job gets a new process."""
        try:
            return future.result()
        except Exception as error:
            self.close()
            if self._killed:
                return RunRow(self.job.number, self.job.overrides, "interrupted")
            reason = f"its process died: {type(error).__name__}: {str(error).strip()}".split("\n")[0]
            return RunRow(self.job.number, self.job.overrides, "failed", reason=reason)

    def interrupt(self, *, kill: bool) -> None:
        """Send SIGINT, or SIGKILL, to the process."""
        self._killed = kill
        if self._pid is not None:
            with contextlib.suppress(Exception):  # a process that has just died needs no signal
                os.kill(self._pid.result(), signal.SIGKILL if kill else signal.SIGINT)

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)
        self._pool = None


def _initialize_worker(parent: int) -> int:
    """Leave the terminal's process group, as the parent forwards Ctrl-C, and exit with the parent; return the id."""
    os.setpgid(0, 0)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)
    _signals.__enter__()  # never exited: signals may also come between runs and while a row is returned

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + SAVE_SECONDS
        while _busy.is_set() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        os._exit(1)  # loky's loop would wait for the next run forever

    threading.Thread(target=watch, daemon=True).start()
    return os.getpid()


def _run_in_worker(
    number: int, overrides: Mapping[str, str], plain: Any, problem: str, elapsed: float | None
) -> RunRow:
    """Run a job in a worker process."""
    global _shared
    from visionkit.console import Printer
    from visionkit.data.shared_cache import SharedCache

    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    _shared = _shared or SharedCache()
    _busy.set()
    try:
        job = Job(number, overrides, None if plain is None else RunConfig.from_plain(plain), problem)
        return run_job(job, printer=Printer(), signals=_signals, shared=_shared, elapsed=elapsed)
    finally:
        _busy.clear()

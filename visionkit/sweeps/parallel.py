"""Runs side by side: a few processes that live on from run to run, each with its share of the cores or its own GPU.

The processes are joblib's (loky): started afresh, so that CUDA works in them, without importing the caller's script.
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
from visionkit.sweeps.job import Job, Row, run_job
from visionkit.sweeps.signals import Signals

__all__ = ["worker_environments", "run_parallel"]

SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_TO_SAVE = 30.0

_shared: Any = None
_signals = Signals()
_at_work = threading.Event()


def worker_environments(n_jobs: int | None, *, jobs: int, gpus: int, cores: int) -> list[dict[str, str]]:
    """The environment of each process: its GPU, or its share of the cores.

    Args:
        n_jobs: How many processes; None or -1 for one per GPU, or per core where there is no GPU.
        jobs: How many runs there are; more processes would idle.
        gpus: GPUs of this machine, 0 where none is used.
        cores: Cores that this process may use.
    """
    wanted = (gpus or cores) if n_jobs in (None, -1) else n_jobs
    number = max(1, min(wanted or 1, jobs))
    threads = str(max(1, cores // number))
    env = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(index) for index in range(gpus)]
    return [env | ({"CUDA_VISIBLE_DEVICES": names[place % gpus]} if gpus else {}) for place in range(number)]


def run_parallel(
    jobs: Sequence[Job],
    *,
    n_jobs: int | None,
    signals: Signals,
    clear_or_resume: Callable[[Job], float | None],
    begun: Callable[[Job], None],
    ended: Callable[[Job, Row], None],
) -> bool:
    """Make runs side by side.

    Args:
        jobs: The runs with their folders, begun in this order.
        n_jobs: How many at a time, see `worker_environments`.
        signals: Handed on to the runs; the third one kills them.
        clear_or_resume: Looks at what is left of a run; the seconds behind it if it goes on.
        begun: Told of each run that starts.
        ended: Told of each run that ended.

    Returns:
        Whether Ctrl-C ended it; the runs under way have then saved a checkpoint.
    """
    import torch

    from visionkit.distributed.devices import available_cores

    waiting = list(jobs)
    on_gpu = any(job.config is not None and job.config.hardware.accelerator in ("auto", "gpu") for job in jobs)
    gpus = torch.cuda.device_count() if on_gpu else 0
    seats = [_Worker(env) for env in worker_environments(n_jobs, jobs=len(waiting), gpus=gpus, cores=available_cores())]
    working: dict[Future[Row], _Worker] = {}
    handed_on, cut = 0, False
    try:
        while working or (waiting and not signals.count):
            for seat in seats:
                if waiting and not signals.count and seat not in working.values():
                    job = waiting.pop(0)
                    begun(job)
                    working[seat.start(job, behind=clear_or_resume(job))] = seat
            finished, _ = wait(working, timeout=SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
            if signals.count > handed_on:
                handed_on = signals.count
                for seat in working.values():
                    seat.interrupt(kill=handed_on > 2)
            for future in finished:
                seat = working.pop(future)
                row = seat.row(future)
                cut = cut or row.status == "interrupted"
                ended(seat.job, row)
    finally:
        for seat in seats:
            seat.close()
    return cut or bool(waiting)


class _Worker:
    """One process, which makes a run at a time.

    Args:
        env: Its environment, in addition to this process's own.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.job: Job
        self._killed = False
        self._pool: Any = None
        self._pid: Future[int] | None = None

    def start(self, job: Job, *, behind: float | None) -> Future[Row]:
        """Begin a run, or go on with one that has seconds behind it."""
        from joblib.externals.loky import ProcessPoolExecutor

        if self._pool is None:
            self._pool = ProcessPoolExecutor(max_workers=1, env=dict(self.env), timeout=None)
            self._pid = self._pool.submit(_settle, os.getpid())
        self.job = job
        config = job.config
        plain = None if config is None else dict(config.plain)
        future: Future[Row] = self._pool.submit(_work, job.number, dict(job.overrides), plain, job.problem, behind)
        return future

    def row(self, future: Future[Row]) -> Row:
        """What became of the run; a process that died has failed, and gets a successor."""
        try:
            return future.result()
        except Exception as error:
            self.close()
            if self._killed:
                return Row(self.job.number, self.job.overrides, "interrupted")
            reason = f"its process died: {type(error).__name__}: {str(error).strip()}".split("\n")[0]
            return Row(self.job.number, self.job.overrides, "failed", reason=reason)

    def interrupt(self, *, kill: bool) -> None:
        """Hand Ctrl-C on."""
        self._killed = kill
        if self._pid is not None:
            with contextlib.suppress(Exception):  # a process that has just died needs no signal
                os.kill(self._pid.result(), signal.SIGKILL if kill else signal.SIGINT)

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)
        self._pool = None


def _settle(parent: int) -> int:
    """Leave the terminal, whose Ctrl-C the parent hands on, and end with the parent; the process's id."""
    os.setpgid(0, 0)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    _signals.__enter__()  # for as long as the process lives: between runs and while a row is handed over as well

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + SECONDS_TO_SAVE
        while _at_work.is_set() and time.monotonic() < deadline:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        os._exit(1)  # loky's loop would wait for ever for the next run

    threading.Thread(target=watch, daemon=True).start()
    return os.getpid()


def _work(number: int, overrides: Mapping[str, str], plain: Any, problem: str, behind: float | None) -> Row:
    """What a process does with a run."""
    global _shared
    from visionkit.console import Printer
    from visionkit.data.shared_cache import SharedCache

    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    _shared = _shared or SharedCache()
    _at_work.set()
    try:
        job = Job(number, overrides, None if plain is None else RunConfig.from_plain(plain), problem)
        return run_job(job, printer=Printer(), signals=_signals, shared=_shared, behind=behind)
    finally:
        _at_work.clear()

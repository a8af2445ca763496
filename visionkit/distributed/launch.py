"""Starts the processes of a run with torch's elastic launcher and reports how they ended."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from visionkit.distributed.processes import Processes
from visionkit.errors import SLURM_SIGNAL, ExitCode, Outcome, ProcessError, Terminated, UserError
from visionkit.files import write_atomic
from visionkit.settings import Hardware
from visionkit.text import printable

__all__ = [
    "LAUNCHER",
    "PAYLOAD_FILE",
    "WORKER_FILES",
    "launch",
    "is_worker",
    "report_error",
    "report_result",
]

WORKER_FILES = "VISIONKIT_WORKER_FILES"
"""Environment variable: the folder in which a worker reads its job and writes its error for the launching process."""
LAUNCHER = "VISIONKIT_LAUNCHER"
"""Environment variable: the id of the launching process."""

WORKER_MODULE = "visionkit.training.worker"
MAX_PORT = 2**16 - 1
PAYLOAD_FILE = "payload.pickle"
"""The objects of a run in the folder of `WORKER_FILES`."""
_RESULT_FILE = "result.json"


def launch(
    verb: str,
    plain: Mapping[str, Any],
    arguments: Mapping[str, Any],
    *,
    processes: Processes,
    hardware: Hardware,
    payload: bytes | None = None,
) -> Outcome[Any]:
    """Run a verb in several processes and wait until the last one has ended.

    Args:
        verb: ``train`` or ``evaluate``.
        plain: The resolved configuration; workers compose none.
        arguments: Further arguments of the verb, plain values.
        processes: How many processes and machines.
        hardware: Address and timeout of the rendezvous of several machines.
        payload: The result of `visionkit.training.payload.pack`.

    Returns:
        0, or the code of a signal that was forwarded, even if the workers had just finished: the caller is to stop too;
        and the plain value of `report_result`, None if no worker of this machine reported one.

    Raises:
        UserError: If a worker ended with one, or the rendezvous of the machines failed.
        ProcessError: If a worker failed otherwise; of several, the one that failed first.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    with tempfile.TemporaryDirectory(prefix="visionkit-") as name:
        files = Path(name)
        _write_job(files, {"verb": verb, "config": dict(plain), "arguments": dict(arguments)}, payload)
        config = _launch_config(files, processes, hardware)
        # Plugins come from the user's command line alone and stay on it: no file may make a process run code.
        worker_arguments = ("-m", WORKER_MODULE, *plain.get("plugins", ()))
        with (
            _worker_environment(files, processes),
            _SignalForwarder(files, processes.per_node) as forwarder,
            _silence_elastic_logs(),
        ):
            code: int = ExitCode.DONE
            try:
                elastic_launch(config, sys.executable)(*worker_arguments)
            except ChildFailedError as error:
                code = _raise_first_failure(error.failures, files, signum=forwarder.forwarded)
            except Exception as error:
                raise _explain_rendezvous(error, hardware) from None
        report = files / _RESULT_FILE
        result = json.loads(report.read_text(encoding="utf-8")) if report.exists() else None
    return Outcome(ExitCode.of_signal(forwarder.forwarded) if forwarder.forwarded else code, result)


def _launch_config(files: Path, processes: Processes, hardware: Hardware) -> Any:
    """The settings of torch's launcher: no restarts, and nothing printed but by the first process of all."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.launcher.api import LaunchConfig

    shown_rank = 0 if hardware.node_rank == 0 else None
    silent = {rank: Std.ALL for rank in range(processes.per_node) if rank != shown_rank}
    return LaunchConfig(
        min_nodes=processes.num_nodes,
        max_nodes=processes.num_nodes,
        nproc_per_node=processes.per_node,
        logs_specs=DefaultLogsSpecs(log_dir=str(files / "logs"), redirects=silent),
        max_restarts=0,
        monitor_interval=0.1,
        signals_to_handle="",
        **_rendezvous(files, processes, hardware),
    )


def _write_job(files: Path, job: Mapping[str, Any], payload: bytes | None) -> None:
    """Write what the workers read, the payload for this user alone."""
    (files / "job.json").write_text(json.dumps(job))
    if payload is not None:
        with open(os.open(files / PAYLOAD_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(payload)


def _rendezvous(files: Path, processes: Processes, hardware: Hardware) -> dict[str, Any]:
    """The launcher's arguments on how the machines find each other."""
    if processes.num_nodes > 1:
        return {
            "rdzv_backend": "static", "rdzv_endpoint": hardware.rendezvous, "run_id": "visionkit",
            "rdzv_configs": {"rank": hardware.node_rank, "timeout": hardware.timeout},
        }  # fmt: skip
    return {
        "rdzv_backend": "c10d", "rdzv_endpoint": "127.0.0.1:0", "run_id": files.name, "local_addr": "127.0.0.1",
    }  # fmt: skip


def is_worker() -> bool:
    """Whether `launch` has started this process."""
    return WORKER_FILES in os.environ


def report_error(code: int, text: str, *, reason: str = "") -> None:
    """Write why this worker ends, for the launching process.

    Args:
        code: The exit code.
        text: The message of a `UserError`, else a traceback.
        reason: The traceback in one line; empty for a `UserError`.
    """
    file = Path(os.environ[WORKER_FILES]) / f"error-{os.environ['RANK']}.json"
    write_atomic(file, json.dumps({"time": time.time(), "code": code, "text": text, "reason": reason}))


def report_result(value: Any) -> None:
    """Hand a plain value to the launching process; that of its first worker counts."""
    if os.environ["LOCAL_RANK"] == "0":
        write_atomic(Path(os.environ[WORKER_FILES]) / _RESULT_FILE, json.dumps(value))


@contextlib.contextmanager
def _worker_environment(files: Path, processes: Processes) -> Iterator[None]:
    """Set the environment of the workers, which divide OMP_NUM_THREADS, or else the available cores, among them."""
    from visionkit.distributed.devices import available_cores

    package_root = str(Path(__file__).parents[2])  # workers import the same copy of the package
    thread_limit = os.environ.get("OMP_NUM_THREADS", "")
    threads = str(max(1, (int(thread_limit) if thread_limit.isdecimal() else available_cores()) // processes.per_node))
    variables = {WORKER_FILES: str(files), LAUNCHER: str(os.getpid()), "TMPDIR": str(files)}
    variables |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH")]))
    variables["TORCH_CPP_LOG_LEVEL"] = os.environ.get("TORCH_CPP_LOG_LEVEL", "ERROR")
    previous = {name: os.environ.get(name) for name in [*variables, "TORCHELASTIC_SIGNALS_TO_HANDLE"]}
    os.environ |= variables
    try:
        yield
    finally:
        for key, value in previous.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


class _SignalForwarder:
    """A context that forwards SIGINT, SIGTERM and SIGUSR1 to the workers as SIGINT, upon which they stop by themselves.

    Before all workers have started, and from the third signal on, it raises KeyboardInterrupt instead, which makes the
    launcher end them. Workers have sessions of their own, so a terminal's Ctrl-C reaches this process alone.

    Attributes:
        forwarded: The first signal that was forwarded, 0 if none was.
    """

    def __init__(self, files: Path, num_workers: int) -> None:
        self.files, self.num_workers = files, num_workers
        self.forwarded = 0
        self._received = 0
        self._old_handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> _SignalForwarder:
        if threading.current_thread() is threading.main_thread():
            signals = (signal.SIGINT, signal.SIGTERM, *([] if SLURM_SIGNAL is None else [SLURM_SIGNAL]))
            self._old_handlers = {signum: signal.signal(signum, self._handle) for signum in signals}
        return self

    def __exit__(self, *exception: object) -> None:
        for signum, handler in self._old_handlers.items():
            signal.signal(signum, handler)

    def _handle(self, signum: int, frame: Any) -> None:
        if signum == SLURM_SIGNAL and self.forwarded:  # a warning that was heeded
            return
        self._received += 1
        pids = [int(file.name.removeprefix("pid-")) for file in self.files.glob("pid-*")]
        if self._received > 2 or len(pids) < self.num_workers:
            raise KeyboardInterrupt if signum == signal.SIGINT else Terminated
        self.forwarded = self.forwarded or signum
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)


@contextlib.contextmanager
def _silence_elastic_logs() -> Iterator[None]:
    """Disable the launcher's own log of failures, which repeats what the worker reports."""
    logger = logging.getLogger("torch.distributed")
    children = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith(logger.name)]
    previous = [child.disabled for child in children]
    for child in children:
        child.disabled = True
    try:
        yield
    finally:
        for child, disabled in zip(children, previous, strict=True):
            child.disabled = disabled


def _raise_first_failure(failures: Mapping[int, Any], files: Path, *, signum: int) -> int:
    """Raise the error of the worker that failed first; after a signal print it and return its exit code."""
    reports = [json.loads(file.read_text(encoding="utf-8")) for file in files.glob("error-*.json")]
    if reports:
        first = min(reports, key=lambda error: float(error["time"]))
        if signum:
            print(printable(first["text"].rstrip(), keep="\n"), file=sys.stderr)
            return ExitCode.of_signal(signum)
        if not first["reason"]:
            raise UserError(first["text"])
        raise ProcessError(first["text"].rstrip(), code=first["code"], reason=first["reason"])
    # The launcher ends the other workers with SIGTERM when one has failed, so those come last.
    rank, failure = min(failures.items(), key=lambda item: (item[1].exitcode == -signal.SIGTERM, item[0]))
    code: int = failure.exitcode
    if signum or code == ExitCode.INTERRUPTED:
        return ExitCode.of_signal(signum or signal.SIGINT)
    stderr = "".join(
        file.read_text(errors="replace") for file in sorted(files.glob(f"logs/**/{failure.local_rank}/stderr.log"))
    )
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", which the system does where memory runs out" if name == "SIGKILL" else ""
        outcome, code = f"was ended by {name}{hint}", 128 - code
    else:
        outcome = f"ended with exit code {code}"
    reason = f"process {rank} of the run {outcome}. The others were stopped."
    raise ProcessError(f"{stderr.strip()}\nvisionkit: {reason}".lstrip(), code=code, reason=reason)


def _explain_rendezvous(error: Exception, hardware: Hardware) -> Exception:
    """A `UserError` for a rendezvous that failed; any other error unchanged."""
    from torch.distributed import DistError

    address = hardware.rendezvous
    if hardware.num_nodes == 1 or not isinstance(error, DistError):
        return error
    host, _, port = str(address).rpartition(":")
    text = str(error)
    if "EADDRINUSE" in text or "address already in use" in text.lower():
        other_port = int(port) + (1 if int(port) < MAX_PORT else -1)
        return UserError(
            f"hardware.rendezvous: port {port} of '{host}' is in use already. Expected a free port, the same on all "
            f"machines. Try: hardware.rendezvous={host}:{other_port}"
        )
    if hardware.node_rank == 0:
        return UserError(
            f"hardware.rendezvous: within {hardware.timeout} s not all of the {hardware.num_nodes} machines came to "
            f"{address}. Expected the same command with hardware.node_rank=1 and so on, on the others, and an address "
            "of this machine that they reach. Try a longer hardware.timeout=SECONDS"
        )
    return UserError(
        f"hardware.rendezvous: nobody answered at {address} within {hardware.timeout} s. Expected there the same "
        "command with hardware.node_rank=0. Start it, or try another hardware.rendezvous=HOST:PORT"
    )

"""Start the processes of a run by torch's elastic launcher, and bring home how they ended."""

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
from visionkit.errors import ExitCode, ProcessError, UserError
from visionkit.files import write_atomic
from visionkit.settings import Hardware

__all__ = ["LAUNCHER", "WORKER_FILES", "launch", "is_worker", "report_error"]

WORKER_FILES = "VISIONKIT_WORKER_FILES"
"""The variable that tells a worker where it finds its job and leaves its words for the process that launched it."""
LAUNCHER = "VISIONKIT_LAUNCHER"
"""The variable that tells a worker the id of that process."""

MODULE = "visionkit.training.worker"
LAST_PORT = 2**16 - 1


def launch(
    verb: str, plain: Mapping[str, Any], arguments: Mapping[str, Any], *, processes: Processes, hardware: Hardware
) -> int:
    """Run a verb in several processes until the last one has ended.

    Args:
        verb: ``train`` or ``evaluate``.
        plain: The resolved configuration; workers compose nothing.
        arguments: What else the verb needs, plain values.
        processes: How many there are.
        hardware: Where machines meet.

    Returns:
        0; 130 wherever Ctrl-C was handed on, also where the workers had just finished: what started this is to stop.

    Raises:
        UserError: If that is what ended a worker, or the machines do not meet.
        ProcessError: If a worker failed otherwise; of several, the one that ended first by itself.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with tempfile.TemporaryDirectory(prefix="visionkit-") as name:
        files = Path(name)
        (files / "job.json").write_text(json.dumps({"verb": verb, "config": dict(plain), "arguments": dict(arguments)}))
        shown = 0 if hardware.node_rank == 0 else None
        silent = {rank: Std.ALL for rank in range(processes.per_node) if rank != shown}
        rendezvous: dict[str, Any] = {
            "rdzv_backend": "c10d", "rdzv_endpoint": "127.0.0.1:0", "run_id": files.name, "local_addr": "127.0.0.1",
        }  # fmt: skip
        if processes.num_nodes > 1:
            rendezvous = {
                "rdzv_backend": "static", "rdzv_endpoint": hardware.rendezvous, "run_id": "visionkit",
                "rdzv_configs": {"rank": hardware.node_rank, "timeout": hardware.timeout},
            }  # fmt: skip
        config = LaunchConfig(
            min_nodes=processes.num_nodes,
            max_nodes=processes.num_nodes,
            nproc_per_node=processes.per_node,
            logs_specs=DefaultLogsSpecs(log_dir=str(files / "logs"), redirects=silent),
            max_restarts=0,
            monitor_interval=0.1,
            signals_to_handle="",
            **rendezvous,
        )
        # What a configuration's plugins are, the person has typed; that a file names them would not be enough.
        words = ("-m", MODULE, *plain.get("plugins", ()))
        with (
            _environment(files, processes),
            _SignalForwarding(files, processes.per_node) as forwarding,
            _silent_launcher(),
        ):
            try:
                elastic_launch(config, sys.executable)(*words)
            except ChildFailedError as error:
                return _raise_first_failure(error.failures, files, interrupted=forwarding.done)
            except Exception as error:
                raise _explain_rendezvous(error, hardware) from None
    return ExitCode.INTERRUPTED if forwarding.done else ExitCode.DONE


def is_worker() -> bool:
    """Whether this process is one that `launch` has started."""
    return WORKER_FILES in os.environ


def report_error(code: int, text: str, *, reason: str = "") -> None:
    """Say, in a worker, why it ends.

    Args:
        code: Its exit code.
        text: For 2 the message, else a traceback.
        reason: A traceback in a line.
    """
    file = Path(os.environ[WORKER_FILES]) / f"error-{os.environ['RANK']}.json"
    write_atomic(file, json.dumps({"time": time.time(), "code": code, "text": text, "reason": reason}))


@contextlib.contextmanager
def _environment(files: Path, processes: Processes) -> Iterator[None]:
    """What workers inherit. They share the threads that this process may have: those it was told, else the cores."""
    from visionkit.distributed.devices import available_cores

    here = str(Path(__file__).parents[2])  # the same package, however this process came by it
    told = os.environ.get("OMP_NUM_THREADS", "")
    threads = str(max(1, (int(told) if told.isdecimal() else available_cores()) // processes.per_node))
    new = {WORKER_FILES: str(files), LAUNCHER: str(os.getpid())}
    new |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    new["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    new["TORCH_CPP_LOG_LEVEL"] = os.environ.get("TORCH_CPP_LOG_LEVEL", "ERROR")
    before = {name: os.environ.get(name) for name in [*new, "TORCHELASTIC_SIGNALS_TO_HANDLE"]}
    os.environ |= new
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


class _SignalForwarding:
    """Within, hand Ctrl-C and SIGTERM to the workers, who stop by themselves; before they are all there, or the third
    time, stop them from here.

    They live in sessions of their own, so that a terminal's Ctrl-C reaches this process alone.

    Attributes:
        done: Whether a signal was handed on.
    """

    def __init__(self, files: Path, count: int) -> None:
        self.files, self.count = files, count
        self.done = False
        self._asked = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> _SignalForwarding:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: Any) -> None:
        self._asked += 1
        ready = [int(file.name.removeprefix("pid-")) for file in self.files.glob("pid-*")]
        if self._asked > 2 or len(ready) < self.count:
            raise KeyboardInterrupt
        self.done = True
        for pid in ready:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)


@contextlib.contextmanager
def _silent_launcher() -> Iterator[None]:
    """The launcher's own account of failures would stand beside the worker's."""
    logger = logging.getLogger("torch.distributed")
    children = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith(logger.name)]
    before = [child.disabled for child in children]
    for child in children:
        child.disabled = True
    try:
        yield
    finally:
        for child, disabled in zip(children, before, strict=True):
            child.disabled = disabled


def _raise_first_failure(failures: Mapping[int, Any], files: Path, *, interrupted: bool) -> int:
    """Raise what ended the worker that failed first; 130, its words printed, where they were to stop anyway."""
    told = [json.loads(file.read_text(encoding="utf-8")) for file in files.glob("error-*.json")]
    if told:
        first = min(told, key=lambda error: float(error["time"]))
        if interrupted:
            print(first["text"].rstrip(), file=sys.stderr)
            return ExitCode.INTERRUPTED
        if first["code"] == ExitCode.USER_ERROR:
            raise UserError(first["text"])
        raise ProcessError(first["text"].rstrip(), code=first["code"], reason=first["reason"])
    # Workers that the launcher itself has ended, because another one failed, went by SIGTERM.
    rank, failure = min(failures.items(), key=lambda item: (item[1].exitcode == -signal.SIGTERM, item[0]))
    code: int = failure.exitcode
    if interrupted or code == ExitCode.INTERRUPTED:
        return ExitCode.INTERRUPTED
    words = "".join(
        file.read_text(errors="replace") for file in sorted(files.glob(f"logs/**/{failure.local_rank}/stderr.log"))
    )
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", which the system does where memory runs out" if name == "SIGKILL" else ""
        what, code = f"was ended by {name}{hint}", 128 - code
    else:
        what = f"ended with exit code {code}"
    reason = f"process {rank} of the run {what}. The others were stopped."
    raise ProcessError(f"{words.strip()}\nvisionkit: {reason}".lstrip(), code=code, reason=reason)


def _explain_rendezvous(error: Exception, hardware: Hardware) -> Exception:
    """What the launcher says of a place where machines do not meet, in words; any other error as it is."""
    from torch.distributed import DistError

    place = hardware.rendezvous
    if hardware.num_nodes == 1 or not isinstance(error, DistError):
        return error
    host, _, port = str(place).rpartition(":")
    text = str(error)
    if "EADDRINUSE" in text or "address already in use" in text.lower():
        another = int(port) + (1 if int(port) < LAST_PORT else -1)
        return UserError(
            f"hardware.rendezvous: port {port} of '{host}' is in use already. Expected a free port, the same on all "
            f"machines. Try: hardware.rendezvous={host}:{another}"
        )
    if hardware.node_rank == 0:
        return UserError(
            f"hardware.rendezvous: within {hardware.timeout} s not all of the {hardware.num_nodes} machines came to "
            f"{place}. Expected the same command with hardware.node_rank=1 and so on, on the others, and an address "
            "of this machine that they reach. Try a longer hardware.timeout=SECONDS"
        )
    return UserError(
        f"hardware.rendezvous: nobody answered at {place} within {hardware.timeout} s. Expected there the same command "
        "with hardware.node_rank=0. Start it, or try another hardware.rendezvous=HOST:PORT"
    )

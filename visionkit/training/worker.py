"""The program of a worker: one of the processes of a run, started by `visionkit.distributed.launch`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from visionkit.distributed.launch import LAUNCHER, PAYLOAD_FILE, WORKER_FILES, report_error, report_result
from visionkit.distributed.processes import Processes, hard_exit
from visionkit.errors import SLURM_SIGNAL, ExitCode, UserError
from visionkit.os_errors import os_error_message
from visionkit.registry import plugin_failure

__all__ = ["main"]

REPORT_SECONDS = 10.0


def main() -> int:
    """Run the job of this worker; its command line arguments are the plugins.

    Returns:
        The exit code. The reason of a failure is reported to the launching process.
    """
    _end_with_parent(int(os.environ[LAUNCHER]))
    if SLURM_SIGNAL is not None:  # SLURM may send it to all processes of a job, and the launching one passes it on
        signal.signal(SLURM_SIGNAL, signal.SIG_IGN)
    files = Path(os.environ[WORKER_FILES])
    (files / f"pid-{os.getpid()}").touch()
    try:
        return _run_job(json.loads((files / "job.json").read_text(encoding="utf-8")), plugins=sys.argv[1:])
    except UserError as error:
        report_error(ExitCode.USER_ERROR, str(error))
        return ExitCode.USER_ERROR
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:
        if _caused_elsewhere(error):
            # The launcher notices the failed process and ends this one, unless it failed on another machine.
            time.sleep(REPORT_SECONDS)
            reason = f"another process of the run, on another machine, is gone ({error})."
            report_error(ExitCode.INTERNAL_ERROR, f"visionkit: {reason}", reason=reason)
            return ExitCode.INTERNAL_ERROR
        failure = plugin_failure(error)
        message = os_error_message(error)
        if failure is None and message is not None:
            report_error(ExitCode.USER_ERROR, message)
            return ExitCode.USER_ERROR
        hint = failure or "this is a fault of visionkit, not of yours; please report it with the lines above."
        code = ExitCode.USER_ERROR if failure else ExitCode.INTERNAL_ERROR
        reason = failure or f"{type(error).__name__}: {error}"
        report_error(code, f"{traceback.format_exc()}visionkit: {hint}", reason=reason.split("\n")[0])
        return code


def _run_job(job: dict[str, object], *, plugins: list[str]) -> int:
    from visionkit.console import Printer
    from visionkit.runs.config import RunConfig
    from visionkit.runs.folder import RunFolder
    from visionkit.runs.objects import RunObjects
    from visionkit.training.fit import train
    from visionkit.training.payload import Payload, unpack

    plain: dict[str, object] = job["config"] | {"plugins": plugins}  # type: ignore[operator]
    arguments: dict[str, Any] = job["arguments"]  # type: ignore[assignment]
    file = Path(os.environ[WORKER_FILES]) / PAYLOAD_FILE
    payload = unpack(file.read_bytes()) if file.is_file() else Payload(RunObjects())
    config = RunConfig.from_plain(plain, objects=payload.objects)
    printer = Printer(to_stderr=config.format == "json", brief=arguments["brief"])
    printer = Printer.silent() if arguments["silent"] else printer
    if job["verb"] == "evaluate":
        from visionkit.training.evaluation import evaluate_run

        folder = RunFolder(Path(str(arguments["folder"])))
        processes = Processes.plan(config.hardware)
        report_result(evaluate_run(config, folder, processes, split=arguments["split"], printer=printer).to_plain())
        return ExitCode.DONE
    resume = arguments["resume_from"]
    outcome = train(
        config,
        resume_from=None if resume is None else RunFolder(Path(resume)),
        callbacks=payload.callbacks,
        logger=payload.logger,
        printer=printer,
    )
    report_result(str(outcome.result))
    return outcome.code


def _caused_elsewhere(error: Exception) -> bool:
    """Whether an error only means that another process does not respond any more.

    gloo raises a bare RuntimeError for it from within torch, recognised by the path of its transport's source file.
    """
    import torch
    from torch.distributed import DistError

    from visionkit.distributed import comm

    if isinstance(error, DistError):
        return True
    raised_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    in_torch = raised_in.is_relative_to(Path(torch.__file__).parent) or raised_in == Path(comm.__file__)
    return type(error) is RuntimeError and in_torch and "/gloo/transport/" in str(error)


def _end_with_parent(parent: int) -> None:
    """Make the kernel kill this process if the launching process is killed (Linux: PR_SET_PDEATHSIG)."""
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        hard_exit(ExitCode.INTERNAL_ERROR)


if __name__ == "__main__":
    hard_exit(main())

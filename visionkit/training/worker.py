"""One of several processes of a run, as `visionkit.distributed.launch` starts them."""

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

from visionkit.distributed.launch import LAUNCHER, WORKER_FILES, report_error
from visionkit.distributed.processes import Processes, hard_exit
from visionkit.errors import ExitCode, UserError

__all__ = ["main"]

REPORT_SECONDS = 10.0


def main() -> int:
    """Do this process's part of the job; the words on the command line are the plugins.

    Returns:
        The exit code. Why it is not 0, is told to the process that launched this one.
    """
    _end_with_parent(int(os.environ[LAUNCHER]))
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
            # Whoever has died says why, or is seen to be dead, and ends this process as well.
            time.sleep(REPORT_SECONDS)
            reason = f"another process of the run, on another machine, is gone ({error})."
            report_error(ExitCode.INTERNAL_ERROR, f"visionkit: {reason}", reason=reason)
            return ExitCode.INTERNAL_ERROR
        fault = "visionkit: this is a fault of visionkit, not of yours; please report it with the lines above."
        report_error(
            ExitCode.INTERNAL_ERROR,
            traceback.format_exc() + fault,
            reason=f"{type(error).__name__}: {error}".split("\n")[0],
        )
        return ExitCode.INTERNAL_ERROR


def _run_job(job: dict[str, object], *, plugins: list[str]) -> int:
    from visionkit.console import Printer
    from visionkit.runs.config import RunConfig
    from visionkit.runs.folder import RunFolder
    from visionkit.training.fit import train

    plain: dict[str, object] = job["config"] | {"plugins": plugins}  # type: ignore[operator]
    arguments: dict[str, Any] = job["arguments"]  # type: ignore[assignment]
    config = RunConfig.from_plain(plain)
    if job["verb"] == "evaluate":
        from visionkit.training.evaluation import evaluate_run

        folder = RunFolder(Path(str(arguments["folder"])))
        return evaluate_run(config, folder, Processes.plan(config.hardware), split=arguments["split"])
    resume = arguments["resume_from"]
    printer = Printer(to_stderr=config.format == "json", brief=arguments["brief"])
    return train(config, resume_from=None if resume is None else RunFolder(Path(resume)), printer=printer)


def _caused_elsewhere(error: Exception) -> bool:
    """Whether an error only says that another process does not answer any more.

    gloo has no class of errors for it: it is a bare one, out of torch's own calls, that names the transport's source.
    """
    import torch
    from torch.distributed import DistError

    from visionkit.distributed import comm

    if isinstance(error, DistError):
        return True
    raised_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    below = raised_in.is_relative_to(Path(torch.__file__).parent) or raised_in == Path(comm.__file__)
    return type(error) is RuntimeError and below and "/gloo/transport/" in str(error)


def _end_with_parent(parent: int) -> None:
    """Where the launching process is killed, or has been already, leave nothing behind (Linux: PR_SET_PDEATHSIG)."""
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        hard_exit(ExitCode.INTERNAL_ERROR)


if __name__ == "__main__":
    hard_exit(main())

"""One of several processes of a run, as `visionkit.training.launch` starts them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from visionkit.errors import UserError
from visionkit.training.launch import WORKER_FILES, report_error
from visionkit.training.processes import leave

__all__ = ["main"]

DONE, FAULT, MENDABLE, INTERRUPTED = 0, 1, 2, 130
SECONDS_FOR_THE_NEWS = 10.0


def main() -> int:
    """Do this process's part of the job; the words on the command line are the plugins.

    Returns:
        The exit code. Why it is not 0, is told to the process that launched this one.
    """
    _end_with_parent()
    files = Path(os.environ[WORKER_FILES])
    (files / f"pid-{os.getpid()}").touch()
    try:
        return _work(json.loads((files / "job.json").read_text(encoding="utf-8")), plugins=sys.argv[1:])
    except UserError as error:
        report_error(MENDABLE, str(error))
        return MENDABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if _from_another(error):
            # Whoever has died says why, or is seen to be dead, and ends this process as well.
            time.sleep(SECONDS_FOR_THE_NEWS)
            report_error(FAULT, f"visionkit: another process of the run, on another machine, is gone ({error}).\n")
            return FAULT
        fault = "visionkit: this is a fault of visionkit, not of yours; please report it with the lines above.\n"
        report_error(FAULT, traceback.format_exc() + fault)
        return FAULT


def _work(job: dict[str, object], *, plugins: list[str]) -> int:
    from visionkit.commands.evaluate import evaluate
    from visionkit.commands.run_config import RunConfig
    from visionkit.commands.train import train
    from visionkit.training.run_folder import RunFolder

    plain: dict[str, object] = job["config"] | {"plugins": plugins}  # type: ignore[operator]
    arguments: dict[str, str | None] = job["arguments"]  # type: ignore[assignment]
    config = RunConfig.from_plain(plain)
    if job["verb"] == "evaluate":
        return evaluate(config, RunFolder(Path(str(arguments["folder"]))), split=arguments["split"])
    resume = arguments["resume_from"]
    return train(config, resume_from=None if resume is None else RunFolder(Path(resume)))


def _from_another(error: Exception) -> bool:
    """Whether an error only says that another process does not answer any more."""
    from torch.distributed import DistError

    return isinstance(error, DistError) or any(word in str(error) for word in ("gloo", "NCCL", "Connection closed"))


def _end_with_parent() -> None:
    """Where the launching process is killed, leave nothing behind (Linux: PR_SET_PDEATHSIG)."""
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    leave(main())

"""Whether a process is still there."""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["is_alive"]


def is_alive(process: int, *, since: float) -> bool:
    """Whether a process runs that was there at a time, so that it is no later one of the same number."""
    try:
        os.kill(process, 0)
    except PermissionError:
        pass
    except (OSError, OverflowError):
        return False
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        began = time.time() - uptime + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):  # not Linux
        return True
    return began <= since + 2.0  # seconds: the clocks are coarse

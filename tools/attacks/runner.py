"""Reads each case in a forked process of its own, with bounded memory and time, and judges how it ended."""

import contextlib
import faulthandler
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attacks.case import CANARY, SECRET, Case
from visionkit.errors import ExitCode, UserError

GOOD = ("ok", "refused")
BAD = ("traceback", "crash", "hang", "memory", "canary", "terminal")
_ALLOWED_CONTROLS = {0x0A, 0x09}
_OVERRIDES = {0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF}


class CommandEnded(Exception):
    """A command of the command line has ended with this exit code."""


@dataclass(frozen=True)
class Limits:
    """What a case may take.

    Attributes:
        seconds: Wall time.
        megabytes: Memory beyond that of the process which has imported everything.
        jobs: Cases at the same time.
    """

    seconds: float
    megabytes: int
    jobs: int


@dataclass(frozen=True)
class Result:
    """How a case ended: a verdict of `GOOD` or `BAD`, and the last line of what was said."""

    case: Case
    verdict: str
    message: str
    seconds: float

    @property
    def is_bad(self) -> bool:
        """Whether the project must be mended."""
        return self.verdict in BAD


@dataclass
class _Running:
    case: Case
    folder: Path
    began: float
    hung: bool = False


def attack(cases: Iterable[Case], limits: Limits) -> Iterator[Result]:
    """Read cases and yield their results as they end."""
    running: dict[int, _Running] = {}
    remaining = iter(cases)
    with tempfile.TemporaryDirectory(prefix="attack-") as root:
        while True:
            while len(running) < limits.jobs and (case := next(remaining, None)) is not None:
                folder = Path(tempfile.mkdtemp(dir=root))
                pid = _start(case, folder, limits)
                running[pid] = _Running(case, folder, time.monotonic())
            if not running:
                return
            for pid, each in list(running.items()):
                ended, status, usage = os.wait4(pid, os.WNOHANG)
                if ended:
                    del running[pid]
                    yield _judge(each, status, usage.ru_maxrss / 1024, limits)
                    _remove(each.folder)
                elif time.monotonic() - each.began > limits.seconds and not each.hung:
                    each.hung = True
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)
            time.sleep(0.005)


def _start(case: Case, folder: Path, limits: Limits) -> int:
    (folder / "data").mkdir()
    (folder / "secret").write_text(SECRET)
    case.make(folder)
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        return pid
    try:
        os.setpgid(0, 0)
        _answer(case, folder, limits)
    finally:
        os._exit(0)


def _answer(case: Case, folder: Path, limits: Limits) -> None:
    """Read one case in this process, and write how it went."""
    faulthandler.disable()
    os.chdir(folder)
    Path("base").write_text(str(_megabytes(1)))  # a forked process does not hold all that its parent does
    for descriptor, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, "output", os.O_WRONLY | os.O_APPEND),
    ):
        os.dup2(os.open(name, flags, 0o600), descriptor)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    used = int(_megabytes(0) * 2**20)
    for kind, most in ((resource.RLIMIT_AS, used + limits.megabytes * 2**21), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(kind, (most, most))
    answer: dict[str, Any]
    try:
        case.enter(folder)
        answer = {"verdict": "ok", "message": ""}
    except UserError as error:
        answer = {"verdict": "refused", "message": str(error)}
        _say(error)
    except CommandEnded as error:
        good = {ExitCode.DONE: "ok", ExitCode.USER_ERROR: "refused"}
        answer = {"verdict": good.get(error.args[0], "traceback"), "message": ""}
    except MemoryError:
        answer = {"verdict": "memory", "message": "MemoryError"}
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = next((f"{f.filename}:{f.lineno}" for f in reversed(frames) if "/visionkit/" in f.filename), "")
        answer = {"verdict": "traceback", "message": f"{type(error).__name__}: {error} ({place})"}
    sys.stdout.flush()
    (folder / "answer.json").write_text(json.dumps(answer))


def _megabytes(column: int) -> float:
    """The memory of this process: the address space (column 0) or what is resident (column 1)."""
    return int(Path("/proc/self/statm").read_text().split()[column]) * resource.getpagesize() / 2**20


def _say(error: UserError) -> None:
    """Print an error as the command line does."""
    from visionkit.cli.main import print_error

    print_error(f"visionkit: {error}")


def _judge(each: _Running, status: int, peak: float, limits: Limits) -> Result:
    seconds = time.monotonic() - each.began
    output, base = (_content(each.folder / name) for name in ("output", "base"))
    answer = {"verdict": "crash", "message": f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "no answer"}
    if (each.folder / "answer.json").exists():
        answer = json.loads((each.folder / "answer.json").read_text())
    said = output + answer["message"].encode("utf-8", "replace")
    verdict, message = answer["verdict"], answer["message"] or _last_line(output)
    if each.hung:
        verdict, message = "hang", f"more than {limits.seconds:g} s"
    elif base and peak - float(base) > limits.megabytes:
        verdict, message = "memory", f"{peak - float(base):,.0f} MiB"
    elif verdict in GOOD and (found := _control_character(output)):
        verdict, message = "terminal", f"printed {found!r}"
    if (each.folder / CANARY).exists() or SECRET.encode() in said:
        verdict, message = "canary", "code ran" if (each.folder / CANARY).exists() else "the secret was shown"
    return Result(each.case, verdict, message, seconds)


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _control_character(output: bytes) -> str | None:
    """The first character that changes what a terminal shows, if there is one."""
    for character in output.decode("utf-8", "replace"):
        code = ord(character)
        is_control = (code < 0x20 or 0x7F <= code < 0xA0) and code not in _ALLOWED_CONTROLS
        if is_control or code in _OVERRIDES:
            return character
    return None


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    return (errors or lines or [""])[-1]


def _remove(folder: Path) -> None:
    """By the system's own command: Python's reaches its limit of recursion in deep folders."""
    subprocess.run(["rm", "-rf", str(folder)], check=False, stderr=subprocess.DEVNULL)

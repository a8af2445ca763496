"""The runs that are killed: their commands, and the processes that train them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SCENARIOS", "Scenario", "Process"]

TEMPORARY = ".*.tmp"
"""Files that are being written, beside their targets."""

_MARK = "VISIONKIT_CRASH_TEST"
_SCENES = (
    "backbone=lenet", "backbone.layer_defaults.norm=batch", "dataset.image_size=64", "dataset.scenes.train=24",
    "dataset.scenes.val=8", "dataset.scenes.test=8",
    "dataset.scenes.augment={mosaic: {p: 0.5}, color_jitter: {brightness: 0.5}}",
    "recipe.batch_size=4", "+backbone.stages.c3.drop={type: dropout, p: 0.1}",
)  # fmt: skip
_TASKS = {
    "classify": (
        "backbone=lenet", "head=mlp", "head.dropout=0.3", "recipe.batch_size=128", "recipe.epochs=12",
        "recipe.mix={mixup: 0.2, cutmix: 1.0, p: 0.5, off_last: 0.1}",
    ),
    "detect": (*_SCENES, "recipe.epochs=10"),
    "instance": (*_SCENES, "head=mask_rcnn_small", "recipe.epochs=4"),
    "segment": (*_SCENES, "recipe.epochs=14"),
}  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """What a run trains, and in how many processes."""

    task: str
    workers: int
    processes: int

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.task}, {self.workers} workers, {self.processes} process{'es' if self.processes > 1 else ''}"

    @property
    def reference(self) -> str:
        """The name of the uninterrupted run, which is the same for any number of workers."""
        return f"{self.task}-{self.processes}"

    @property
    def every(self) -> str:
        """How often it is saved within an epoch: by steps, or by the clock where epochs take seconds."""
        return "1s" if self.processes > 1 and self.task in ("detect", "instance") else "2 steps"

    def words(self, folder: Path, *, workers: int | None = None) -> list[str]:
        """The command of a new run."""
        return [
            f"task={self.task}", *_TASKS[self.task], "recipe.ema={decay: 0.99, warmup: true}",
            f"recipe.checkpoint_every={self.every}", "hardware=cpu", f"hardware.devices={self.processes}",
            f"dataset.num_workers={self.workers if workers is None else workers}", f"run_dir={folder}",
        ]  # fmt: skip


SCENARIOS = [Scenario(task, workers, processes) for processes in (1, 2) for workers in (0, 2) for task in _TASKS]


class Process:
    """A command of visionkit in a process of its own.

    Args:
        words: Its arguments.
        folder: The run folder, below an existing one.
        temporary: Its TMPDIR.
    """

    def __init__(self, words: list[str], *, folder: Path, temporary: Path) -> None:
        self.folder, self.temporary, self.start = folder, temporary, time.monotonic()
        self.output = folder.with_name(f"{folder.name}.out")
        self._log_size = self._size_of_log()
        package = str(Path(__file__).parents[2])
        environment = os.environ | {
            "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1", _MARK: str(folder),
            "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])),
        }  # fmt: skip
        with self.output.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "visionkit", *words],
                env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def ended(self) -> bool:
        """Whether the command has ended."""
        return self._process.poll() is not None

    @property
    def is_training(self) -> bool:
        """Whether the run has begun to write its log."""
        return self._size_of_log() != self._log_size

    @property
    def num_epochs(self) -> int:
        """The epochs that the run has recorded."""
        history = self.folder / "metrics.csv"
        return max(0, history.read_text().count("\n") - 1) if history.exists() else 0

    def is_saving(self) -> bool:
        """Whether a file of the run is being written at this moment."""
        return any(any(folder.glob(TEMPORARY)) for folder in (self.folder, self.folder / "checkpoints"))

    def members(self) -> list[int]:
        """The ids of the processes that the command has started for the run."""
        written = {int(file.name.removeprefix("pid-")) for file in self.temporary.glob("visionkit-*/*/pid-*")}
        return [pid for pid in _living(self.folder) if pid in written]

    def send(self, number: signal.Signals, pid: int | None = None) -> None:
        """Send a signal to the command, or to one of its processes."""
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(pid or self._process.pid, number)

    def wait(self, seconds: float) -> int | None:
        """The exit code once the command and all it has started have ended; None if that takes longer."""
        deadline = time.monotonic() + seconds
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        while _living(self.folder):
            if time.monotonic() > deadline:
                return None
            time.sleep(0.05)
        return code

    def stop(self) -> None:
        """Kill whatever is left."""
        for pid in _living(self.folder):
            self.send(signal.SIGKILL, pid)
        self._process.kill()
        self._process.wait()

    def tail(self) -> str:
        """The last lines of the output."""
        return " | ".join(self.output.read_text(errors="replace").strip().splitlines()[-3:])[-400:]

    def _size_of_log(self) -> int:
        log = self.folder / "log.txt"
        return log.stat().st_size if log.exists() else -1


def _living(folder: Path) -> list[int]:
    """The processes that were started, however indirectly, for the run in a folder."""
    mark, found = f"{_MARK}={folder}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            alive = (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            if alive and mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return found

"""One trial: a run is killed and resumed until it is done, and compared with the uninterrupted one."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from crashes.compare import differences
from crashes.runs import Process, Scenario

__all__ = ["Kill", "Reference", "Trial", "run_reference", "run_trial"]

_SECONDS = 600.0
"""After which a command counts as hanging."""

_SAVE_POLL = 0.0005


@dataclass(frozen=True)
class Reference:
    """An uninterrupted run.

    Attributes:
        folder: Of the run.
        setup: Seconds until it began to train.
        epochs: Their number.
        epoch_seconds: About what one takes.
    """

    folder: Path
    setup: float
    epochs: int
    epoch_seconds: float


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        moment: ``any``, ``training`` or ``save``.
        signal: Its name.
        target: ``command``, or ``process`` for one of several that it has started.
        after: Seconds since the start of the command.
        code: The exit code.
    """

    moment: str
    signal: str
    target: str
    after: float
    code: int


@dataclass
class Trial:
    """What came of one trial.

    Attributes:
        problems: What ended otherwise than it should; empty if all is well.
        differences: What differs from the uninterrupted run.
        left: What lies in TMPDIR at the end.
    """

    number: int
    scenario: str
    kills: list[Kill] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def is_bad(self) -> bool:
        """Whether anything is wrong."""
        return bool(self.problems or self.differences or self.left)

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def run_reference(scenario: Scenario, work: Path, temporary: Path) -> Reference:
    """Train without a kill, without workers of data loaders.

    Raises:
        RuntimeError: If that fails.
    """
    folder = work / "references" / scenario.reference
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    process = Process(scenario.words(folder, workers=0), folder=folder, temporary=temporary)
    while not process.is_training and not process.ended:
        time.sleep(0.05)
    setup = time.monotonic() - process.start
    code = process.wait(_SECONDS)
    if code != 0:
        process.stop()
        raise RuntimeError(f"the uninterrupted run '{scenario.name}' ended with {code}: {process.tail()}")
    epochs = process.num_epochs
    return Reference(folder, setup, epochs, (time.monotonic() - process.start - setup) / epochs)


def run_trial(
    number: int, scenario: Scenario, reference: Reference, *, kills: int, seed: int, work: Path, temporary: Path
) -> Trial:
    """Kill and resume a run at most so many times, let it end, and compare it."""
    draw, start = random.Random(f"{seed} {number}"), time.monotonic()
    trial = Trial(number, scenario.name)
    folder = work / f"trial-{number}" / "run"
    shutil.rmtree(folder.parent, ignore_errors=True)
    folder.parent.mkdir(parents=True)
    temporary.mkdir(parents=True)
    ended = False  # by itself; what a killed command leaves in TMPDIR is for the next one
    while not trial.problems and not ended:
        process = _start(scenario, folder, temporary, auto=bool(number % 2))
        if len(trial.kills) < kills and not (folder / "metrics.json").exists():
            ended = _kill(process, trial, draw, scenario, reference)
            continue
        code, ended = process.wait(_SECONDS), True
        if code != 0:
            trial.problems.append(f"{_ending(code)}: {process.tail()}")
            process.stop()
    if not trial.problems:
        trial.differences = differences(folder, reference.folder)
        trial.left = sorted(str(path.relative_to(temporary)) for path in temporary.rglob("*"))
    if not trial.is_bad:
        shutil.rmtree(folder.parent)
        shutil.rmtree(temporary)
    trial.seconds = round(time.monotonic() - start, 1)
    return trial


def _start(scenario: Scenario, folder: Path, temporary: Path, *, auto: bool) -> Process:
    """Go on with a run, or begin it where no checkpoint was written yet; by itself or with ``resume=auto``."""
    if auto:
        words = [*scenario.words(folder), "resume=auto"]
    elif any((folder / "checkpoints").glob("*.ckpt")):
        words = ["train", f"run={folder}", "resume=true"]
    else:
        shutil.rmtree(folder, ignore_errors=True)
        words = scenario.words(folder)
    return Process(words, folder=folder, temporary=temporary)


def _kill(process: Process, trial: Trial, draw: random.Random, scenario: Scenario, reference: Reference) -> bool:
    """Kill a command at a random moment; return whether it was done before."""
    moment = draw.choices(["any", "training", "save"], [20, 35, 45])[0]
    signals = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1]
    number = draw.choices(signals, [70, 10, 10, 10])[0]
    one_of_several = scenario.processes > 1 and number == signal.SIGKILL and draw.random() < 0.5
    if moment == "any":
        _sleep(process, draw.uniform(0, reference.setup))
    else:
        _wait_while(process, lambda: not process.is_training)
        if moment == "training":
            epochs = process.num_epochs + draw.randrange(max(1, (reference.epochs - process.num_epochs) // 2))
            _wait_while(process, lambda: process.num_epochs < epochs)
            _sleep(process, draw.uniform(0, reference.epoch_seconds))
        else:
            _await_saves(process, draw.randint(1, 6))
    members = process.members() if one_of_several else []
    if not process.ended:
        process.send(number, draw.choice(members) if members else None)
    after = time.monotonic() - process.start
    code = process.wait(_SECONDS)
    if code == 0:
        return True
    expected = {-number, 143 if number == signal.SIGUSR1 else 128 + number}
    trial.kills.append(
        Kill(moment, number.name, "process" if members else "command", round(after, 2), -1 if code is None else code)
    )
    if code not in expected:
        trial.problems.append(f"{_ending(code)} after {number.name} ({moment}): {process.tail()}")
        process.stop()
    return False


def _sleep(process: Process, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    _wait_while(process, lambda: time.monotonic() < deadline)


def _wait_while(process: Process, condition: Callable[[], bool]) -> None:
    while condition() and not process.ended and time.monotonic() - process.start < _SECONDS:
        time.sleep(0.01)


def _await_saves(process: Process, count: int) -> None:
    """Wait until a file is being written, and for how many times before it."""
    was_saving = False
    while count and not process.ended and time.monotonic() - process.start < _SECONDS:
        is_saving = process.is_saving()
        count -= is_saving and not was_saving
        was_saving = is_saving
        if count:
            time.sleep(_SAVE_POLL)


def _ending(code: int | None) -> str:
    return f"hangs: not ended within {_SECONDS:.0f} s" if code is None else f"exit code {code}"

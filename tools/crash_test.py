"""Kills runs at random moments, also while they save, and resumes them: they end as if nobody had killed them.

A run of each of four tasks, with 0 and 2 workers, in one and two processes, with averaged weights, dropout and mixed
images, is killed (mostly by SIGKILL, between two saves within an epoch), resumed with `train run=FOLDER resume=true` or
by its own command with `resume=auto`, killed again, and at last left alone. It must end equal to the uninterrupted run
to the last digit: weights, average, optimizer, metrics, tables and pictures; and nothing may be left in TMPDIR, which
lies on another file system. The exit code is 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from crashes.runs import SCENARIOS, Scenario
from crashes.trial import Reference, Trial, run_reference, run_trial
from rich.console import Console
from rich.table import Table

KILLS, KILLS_PER_TRIAL = 100, 4
QUICK_KILLS, QUICK_SEED = 1, 18  # SIGKILL of the command in its second save, and of one process while it trains
QUICK = (Scenario("detect", 0, 1), Scenario("classify", 2, 2))
PACKAGES = ("torch", "lightning", "torchmetrics", "numpy", "matplotlib")


def main() -> int:
    """Kill and resume runs, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=KILLS, help=f"in all, those in --json included ({KILLS})")
    parser.add_argument("--quick", action="store_true", help="two runs, killed once each: about a minute")
    parser.add_argument("--seed", type=int, help="of the moments (0; --quick has its own)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="kept after each run; goes on from there")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="for the runs; one that is there is kept")
    parser.add_argument("--tmp", type=Path, default=Path("/dev/shm"), help="where the runs have their TMPDIR")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs in the background ignore it
    work = arguments.work or Path(tempfile.mkdtemp(prefix="crash_test-"))
    work.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix="crash_test-", dir=arguments.tmp))
    report = _Report(arguments.json, other_file_system=os.stat(work).st_dev != os.stat(temporary).st_dev)
    scenarios: Sequence[Scenario] = QUICK if arguments.quick else SCENARIOS
    per_trial, total = KILLS_PER_TRIAL, arguments.kills
    if arguments.seed is None:
        arguments.seed = QUICK_SEED if arguments.quick else 0
    if arguments.quick:
        per_trial, total = QUICK_KILLS, QUICK_KILLS * len(QUICK)
    try:
        for trial in _run(scenarios, report, arguments, per_trial, total, work.resolve(), temporary):
            report.add(trial)
            verdict = "; ".join([*trial.problems, *trial.differences[:3], *trial.left[:3]]) or "equal"
            line = f"{trial.number:3d} {trial.scenario}: {len(trial.kills)} kills, {trial.seconds:.0f} s: {verdict}"
            print(line[:500], flush=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if arguments.work is None and not report.num_bad:
            shutil.rmtree(work, ignore_errors=True)
    report.print()
    return int(report.num_bad > 0)


def _run(
    scenarios: Sequence[Scenario],
    report: _Report,
    arguments: argparse.Namespace,
    per_trial: int,
    total: int,
    work: Path,
    temporary: Path,
) -> Iterator[Trial]:
    """The trials, several at a time, until there are kills enough."""
    references: dict[str, Reference] = {}
    first = report.next_number
    with ThreadPoolExecutor(arguments.jobs) as pool:
        count = -(-max(0, total - report.num_kills) // per_trial)
        chosen = [(number, scenarios[number % len(scenarios)]) for number in range(first, first + count)]
        wanted = {scenario.reference: scenario for _, scenario in chosen}
        made = pool.map(lambda s: run_reference(s, work, temporary / f"reference-{s.reference}"), wanted.values())
        references.update(zip(wanted, made, strict=True))

        def one(job: tuple[int, Scenario]) -> Trial:
            number, scenario = job
            return run_trial(
                number, scenario, references[scenario.reference], kills=per_trial, seed=arguments.seed, work=work,
                temporary=temporary / str(number),
            )  # fmt: skip

        yield from pool.map(one, chosen)


class _Report:
    """The trials of this and of earlier calls.

    Args:
        file: Where they are kept; None for nowhere.
        other_file_system: Whether TMPDIR of the runs is on another file system than their folders.
    """

    def __init__(self, file: Path | None, *, other_file_system: bool) -> None:
        self.file = file
        self.trials: list[dict[str, Any]] = []
        self.other_file_system = other_file_system
        if file is not None and file.exists():
            self.trials = json.loads(file.read_text())["trials"]

    @property
    def next_number(self) -> int:
        """The number of the next trial."""
        return 1 + max((trial["number"] for trial in self.trials), default=-1)

    @property
    def num_kills(self) -> int:
        """In all trials."""
        return sum(len(trial["kills"]) for trial in self.trials)

    @property
    def num_bad(self) -> int:
        """Trials in which anything is wrong."""
        return sum(bool(t["problems"] or t["differences"] or t["left"]) for t in self.trials)

    def add(self, trial: Trial) -> None:
        """Add a trial, and write the file."""
        self.trials.append(trial.to_plain())
        if self.file is not None:
            text = json.dumps(self._document(), indent=1)
            temporary = self.file.with_suffix(".tmp")
            temporary.write_text(text + "\n")
            temporary.replace(self.file)

    def print(self) -> None:
        """Print a table, a row per scenario."""
        table = Table(title=f"{self.num_kills} kills in {len(self.trials)} runs", title_justify="left")
        for name in ("run", "runs", "kills", "while saving", "SIGKILL", "bad"):
            table.add_column(name, justify="left" if name == "run" else "right")
        for name in dict.fromkeys(trial["scenario"] for trial in self.trials):
            mine = [trial for trial in self.trials if trial["scenario"] == name]
            kills = [kill for trial in mine for kill in trial["kills"]]
            bad = sum(bool(t["problems"] or t["differences"] or t["left"]) for t in mine)
            saving = sum(kill["moment"] == "save" for kill in kills)
            hard = sum(kill["signal"] == "SIGKILL" for kill in kills)
            table.add_row(name, str(len(mine)), str(len(kills)), str(saving), str(hard), str(bad or ""))
        Console(width=None if sys.stdout.isatty() else 110, highlight=False).print(table)
        place = "on another file system" if self.other_file_system else "on the same file system"
        print(f"TMPDIR was {place}. {self.num_bad or 'No'} run(s) differ from the uninterrupted ones.")

    def _document(self) -> dict[str, Any]:
        return {
            "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
            "tmpdir_on_another_file_system": self.other_file_system,
            "kills": self.num_kills,
            "bad": self.num_bad,
            "trials": self.trials,
        }


if __name__ == "__main__":
    sys.exit(main())

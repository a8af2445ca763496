"""Rows of the table of results on real data, one after the other, kept in a JSON file that is committed.

    python tools/results.py --row mnist-lenet               # seeds 0, 1, 2, a run each; prints the whole table
    python tools/results.py --row mnist-lenet --try recipe.lr=0.1      # validation alone is shown, nothing is kept
    python tools/results.py                                 # prints the table

The words of the rows stand in tools/result_rows.py. Each run is the command that stands in its record, typed into a
folder whose `data/` is --data. The data sets are those of --shared; archives are unpacked once. Recipes are tuned on
validation (--try); a row reads the test split once per seed, and again only with --again. Runs are kept below --data: a
teacher is not trained twice. Seconds of training are those of metrics.json; on a machine that other work shares compare
the processor seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import hashlib
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean

from result_rows import ROWS, Record, newest, verdict
from rich.console import Console
from rich.table import Table

from visionkit.runs.environment import describe_environment

REPOSITORY = Path(__file__).resolve().parents[1]


SOURCES = {"cifar10": "cifar10-jpeg.tar.gz", "mnist": "MNIST/raw", "bccd": "bccd", "camvid": "camvid"}
"""Where each data set lies below --shared."""

QUICK = "digits-100"


class MissingDataError(Exception):
    """A data set is not there."""


def main() -> int:
    """Run rows, append what came of them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", nargs="+", metavar="NAME", choices=ROWS, default=[], help=", ".join(ROWS))
    parser.add_argument("--seeds", type=_seeds, metavar="0,1,2", help="in place of the row's own")
    parser.add_argument("--try", nargs="+", metavar="WORD", dest="words", help="further words; nothing is kept")
    parser.add_argument("--again", action="store_true", help="also what was measured before with the same words")
    parser.add_argument("--quick", action="store_true", help="one row for two batches, into --json if it is given")
    parser.add_argument("--data", type=Path, default=REPOSITORY / "data", help="for what is unpacked (data)")
    parser.add_argument("--shared", type=Path, default=REPOSITORY.parent / "shared" / "data", help="(../shared/data)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the records (docs/results.json)")
    options = parser.parse_args()
    if options.quick:
        options.row, options.seeds = options.row or [QUICK], options.seeds or (0,)
    file = options.json or (None if options.quick else REPOSITORY / "docs" / "results.json")
    try:
        for name in options.row:
            run_row(name, options, file)
    except MissingDataError as error:
        print(f"results: {error}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"results: the command ended with {error.returncode}: {error.stderr.strip()[-2000:]}", file=sys.stderr)
        return int(error.returncode) if error.returncode == 2 else 1
    if not options.words:
        print_table(read_records(file))
    return 0


def _seeds(text: str) -> tuple[int, ...]:
    return tuple(int(seed) for seed in text.split(","))


def run_row(name: str, options: argparse.Namespace, file: Path | None) -> None:
    """The runs of a row that are not in the file yet; each is appended as soon as it ends.

    Raises:
        MissingDataError: If its data is not there.
        CalledProcessError: If a run fails.
    """
    row = ROWS[name]
    if row.data is not None:
        unpack(row.data, shared=options.shared, folder=options.data)
    quick = ["debug=fast"] if options.quick else []
    for seed in options.seeds or row.seeds:
        words = [*row.words.split(), *(options.words or []), *quick, f"seed={seed}"]
        of_teacher = [*row.teacher.split(), *quick, f"seed={seed}"] if row.teacher else []
        command = f"python -m visionkit {shlex.join(words)}"
        if of_teacher:
            command = f"python -m visionkit {shlex.join(of_teacher)} run_dir=teacher && {command}"
        known = [record for record in read_records(file) if record["row"] == name and record["command"] == command]
        if known and not (options.again or options.words):
            print(f"{name}, seed {seed}: measured on {known[-1]['date']}; the test split is read once (--again)")
            continue
        print(f"{name}: {command}", flush=True)
        teacher = teach(of_teacher, options.data) if of_teacher else None
        metrics, seconds = run(words, options.data, teacher=teacher, keep=_run_of(words, options.data))
        validation, test = (_metrics_of(metrics, split) for split in ("val", "test"))
        if options.words:
            print(f"{name}, seed {seed}, validation: {json.dumps(validation)}, {metrics['training_seconds']} s")
            continue
        record = {
            "row": name, "command": command, "commit": commit(), "seed": seed, "val": validation, "test": test,
            "epochs": metrics["epochs"], "best_epoch": metrics["best_epoch"],
            "training_seconds": metrics["training_seconds"], **seconds, "environment": describe_environment(),
            "load": round(os.getloadavg()[0], 1), "date": datetime.now(UTC).date().isoformat(),
        }  # fmt: skip
        if file is not None:
            write_records(file, [*read_records(file), record])
        else:
            print(json.dumps(record))


def teach(words: Sequence[str], data: Path) -> Path:
    """The run of a teacher: the one that these words have made before, or a new one."""
    folder = _run_of(words, data)
    if not folder.is_dir():
        run(words, data, keep=folder)
    return folder


def _run_of(words: Sequence[str], data: Path) -> Path:
    return data / "runs" / hashlib.sha256(shlex.join(words).encode()).hexdigest()[:16]


def run(
    words: Sequence[str], data: Path, *, teacher: Path | None = None, keep: Path | None = None
) -> tuple[dict[str, float], dict[str, float]]:
    """Train with these words beside a folder ``data``; metrics.json, and seconds of the whole command.

    Args:
        words: Of the command.
        data: The folder.
        teacher: A run that the command finds as ``teacher``.
        keep: Where the run is put.
    """
    with tempfile.TemporaryDirectory(prefix="results-") as folder:
        Path(folder, "data").symlink_to(data.resolve(), target_is_directory=True)
        if teacher is not None:
            Path(folder, "teacher").symlink_to(teacher.resolve(), target_is_directory=True)
        wall, processor = time.perf_counter(), _processor_seconds()
        command = [sys.executable, "-m", "visionkit", *words, "run_dir=run"]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        subprocess.run(
            command, cwd=folder, env=environment, check=True, text=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        seconds = {"command_seconds": time.perf_counter() - wall, "processor_seconds": _processor_seconds() - processor}
        metrics = json.loads(Path(folder, "run", "metrics.json").read_text(encoding="utf-8"))
        if keep is not None:
            shutil.rmtree(keep, ignore_errors=True)
            shutil.copytree(Path(folder, "run"), keep)
    return metrics, {name: round(value, 1) for name, value in seconds.items()}


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _metrics_of(metrics: dict[str, float], split: str) -> dict[str, float]:
    return {name.partition("/")[2]: round(value, 5) for name, value in metrics.items() if name.startswith(f"{split}/")}


def commit() -> str:
    """The commit that is measured; ``+changes`` where files differ from it."""

    def git(*words: str) -> str:
        ended = subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        return ended.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "visionkit", "conf")
    return (git("rev-parse", "--short=10", "HEAD") or "unknown") + ("+changes" if changed else "")


def unpack(name: str, *, shared: Path, folder: Path) -> None:
    """Make ``folder/name`` of a data set of the shared folder, once.

    Raises:
        MissingDataError: If neither is there.
    """
    target, source = folder / name, shared / SOURCES[name]
    if target.exists():
        return
    if not source.exists():
        raise MissingDataError(
            f"no data: neither '{target}' nor '{source}' is there. Expected the data set '{name}'. "
            "Try: --shared FOLDER that holds it (its README says in which form)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with _whole(target) as new:
        if name == "cifar10":
            with tarfile.open(source) as archive:
                archive.extractall(new, filter="data")
        elif name == "mnist":
            raw = new / "MNIST" / "raw"
            raw.mkdir(parents=True)
            for file in source.glob("*.gz"):
                with gzip.open(file) as packed, (raw / file.stem).open("wb") as out:
                    shutil.copyfileobj(packed, out)
        else:
            shutil.copytree(source, new, dirs_exist_ok=True)


@contextlib.contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A new folder that becomes the target when all of it is written."""
    with tempfile.TemporaryDirectory(dir=target.parent) as parent:
        new = Path(parent, target.name)
        new.mkdir()
        yield new
        new.rename(target)


def read_records(file: Path | None) -> list[Record]:
    """What was measured before."""
    if file is None or not file.is_file():
        return []
    records: list[Record] = json.loads(file.read_text(encoding="utf-8"))
    return records


def write_records(file: Path, records: Sequence[Record]) -> None:
    """Write all records at once."""
    new = file.with_suffix(".tmp")
    new.write_text(json.dumps(list(records), indent=1) + "\n", encoding="utf-8")
    new.replace(file)


def print_table(records: Sequence[Record]) -> None:
    """All rows: what was measured, and what is wanted."""
    table = Table(title="results on real data: means over seeds, the test split's in bold", title_justify="left")
    for heading in ("row", "metric", "val", "test", "seeds", "training", "processor", "wanted", ""):
        table.add_column(heading, justify="right" if heading in ("val", "test", "training", "processor") else "left")
    for name, row in ROWS.items():
        own = newest(records, name)
        wanted, reached = verdict(row, records)
        for number, metric in enumerate(row.wanted):
            cells = [f"{mean(r[split][metric] for r in own):.2%}" if own else "-" for split in ("val", "test")]
            times = [f"{mean(r[key] for r in own):.0f} s" if own else "-" for key in _SECONDS]
            mark = {True: "reached", False: "MISSED", None: ""}[reached]
            seeds = ", ".join(str(r["seed"]) for r in own)
            first = number == 0
            table.add_row(
                name if first else "", metric, cells[0], f"[bold]{cells[1]}[/bold]", seeds if first else "",
                *(times if first else ("", "")), wanted if first else "", mark if first else "",
            )  # fmt: skip
    console = Console(highlight=False, width=150)
    console.print(table)
    for name, row in ROWS.items():
        limit = f"; at most {row.minutes:g} minutes on quiet cores" if row.minutes else ""
        console.print(f"{name}: {row.what}{limit}")


_SECONDS = ("training_seconds", "processor_seconds")

if __name__ == "__main__":
    sys.exit(main())

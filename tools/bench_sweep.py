"""What a sweep saves: one-epoch LeNet runs on digits in one command, against a command for each.

Both sides make the same runs with the same files. Half of the single commands come before the sweep and half after,
so that other work on the machine meets both alike.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from visionkit.runs.environment import describe_environment

COMMON = ("backbone=lenet", "dataset=digits", "recipe.epochs=1", "hardware=cpu")
LIMIT = 0.4


def seconds(overrides: list[str], folder: str) -> float:
    """The wall time of one command, which must succeed."""
    start = time.perf_counter()
    result = subprocess.run([sys.executable, "-m", "visionkit", *overrides], cwd=folder, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"'{' '.join(overrides)}' ended with {result.returncode}: {result.stderr}")
    return time.perf_counter() - start


def main() -> None:
    """Measure, check that both sides made the same runs, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=16, help="runs of each side (16)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what is printed (text)")
    options = parser.parse_args()
    seeds = range(options.runs)
    with tempfile.TemporaryDirectory() as folder:
        separate = [seconds([*COMMON, f"seed={seed}", f"run_dir=single/{seed}"], folder) for seed in seeds[::2]]
        values = ",".join(map(str, seeds))
        sweep = seconds(["-m", *COMMON, f"seed={values}", "run_dir=sweep"], folder)
        separate += [seconds([*COMMON, f"seed={seed}", f"run_dir=single/{seed}"], folder) for seed in seeds[1::2]]
        same = all(_numbers(Path(folder, "single", str(s))) == _numbers(Path(folder, "sweep", str(s))) for s in seeds)
        files = all(_files(Path(folder, "single", str(s))) == _files(Path(folder, "sweep", str(s))) for s in seeds)
    figures = {
        "runs": options.runs,
        "separate_s": round(sum(separate), 2),
        "sweep_s": round(sweep, 2),
        "ratio": round(sweep / sum(separate), 3),
        "limit": LIMIT,
        "same_numbers": same,
        "same_files": files,
        "cores": os.cpu_count(),
        "environment": describe_environment(),
    }
    if options.format == "json":
        print(json.dumps(figures, indent=2))
        return
    table = Table(title=f"{options.runs} one-epoch LeNet runs on digits", title_justify="left")
    for column in ("", "seconds", "per run"):
        table.add_column(column, justify="right" if column else "left")
    for name, total in (("separate commands", sum(separate)), ("one sweep", sweep)):
        table.add_row(name, f"{total:.1f}", f"{total / options.runs:.2f}")
    console = Console(highlight=False)
    console.print(table)
    console.print(f"ratio {figures['ratio']:.3f} (at most {LIMIT}); same numbers: {same}, same files: {files}")
    environment = figures["environment"]
    console.print(", ".join(f"{name} {number}" for name, number in environment["versions"].items()))
    console.print(f"{environment['cpu']}, {figures['cores']} cores")


def _numbers(run: Path) -> dict[str, float]:
    metrics = json.loads((run / "metrics.json").read_text())
    return {name: value for name, value in metrics.items() if name != "training_seconds"}


def _files(run: Path) -> set[str]:
    return {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}


if __name__ == "__main__":
    main()

"""What a person gets who types nothing but the task: time and score of each task's default run.

Each command runs by itself in an empty folder, from a cold start to its last line, imports and test included.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from visionkit.runs.environment import describe_environment

TASKS = {
    "classify": ("test/accuracy", 0.985, 60),
    "detect": ("test/map_50", 0.80, 300),
    "segment": ("test/mean_iou", 0.80, 300),
    "instance": ("test/map_50", 0.60, 600),
}
"""For each task: the metric, the smallest accepted score, and the largest accepted time in seconds."""


def measure(task: str, overrides: list[str]) -> dict[str, object]:
    """Run a task with its defaults and further overrides; the row of the report."""
    name, min_score, limit = TASKS[task]
    words = [f"task={task}", *overrides]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "visionkit", *words, "run_dir=run"]
        start = time.perf_counter()
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        if result.returncode:
            sys.exit(f"'{' '.join(words)}' ended with {result.returncode}: {result.stderr}")
        metrics = json.loads(Path(folder, "run", "metrics.json").read_text())
    scores = {key: round(value, 4) for key, value in metrics.items() if key.startswith("test/")}
    return {
        "command": f"python -m visionkit {' '.join(words)}",
        "score": name,
        "reached": scores[name],
        "wanted": min_score,
        "seconds": round(seconds, 1),
        "limit": limit,
        "holds": scores[name] >= min_score and seconds <= limit,
        "scores": scores,
    }


def main() -> None:
    """Run, print a table, and end with 1 where a score or a time is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="(all)")
    parser.add_argument("--overrides", nargs="*", default=[], metavar="KEY=VALUE", help="beside the task (none)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures into this file")
    options = parser.parse_args()
    rows = []
    for task in options.tasks:
        rows.append(measure(task, options.overrides))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    figures = {"rows": rows, "environment": describe_environment()}
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    table = Table(title="default runs", title_justify="left")
    for heading in ("command", "score"):
        table.add_column(heading, no_wrap=True)
    for heading in ("reached", "wanted", "seconds", "at most"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            str(row["command"]), str(row["score"]), f"{row['reached']:.4f}", f"{row['wanted']:g}",
            f"{row['seconds']:.1f}", f"{row['limit']:g}", style="" if row["holds"] else "red",
        )  # fmt: skip
    console = Console(highlight=False, width=150)
    console.print(table)
    environment = figures["environment"]
    console.print(", ".join(f"{name} {number}" for name, number in environment["versions"].items()))
    console.print(f"{environment['cpu']}, {environment['cpu_cores']} cores")
    sys.exit(not all(row["holds"] for row in rows))


if __name__ == "__main__":
    main()

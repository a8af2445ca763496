"""How fast the command line answers where no torch is needed, and how fast Python has a trained model at hand.

Commands are help, lists, inspect and configuration errors; with --load, the import of the package, and `visionkit.load`
with a first prediction of a LeNet run, which is trained before.
Each command runs as a process of its own, in turns; medians of wall and processor time, and the peak memory, are
printed. Processor time says what the wall time would be on a machine that does nothing else.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from rich.console import Console
from rich.table import Table

from visionkit.backbones import list_backbones

COMMANDS = {
    "--help": 0,
    "list": 0,
    "inspect backbone=lenet num_classes=10": 0,
    "inspect backbone=resnet110 num_classes=10": 0,
    "inspect backbone=densenet121 num_classes=1000": 0,
    "inspect backbone=densenet201 num_classes=1000 depth=9 explain=true": 0,
    "inspect backbone=plain56,resnet56 num_classes=10": 0,
    "inspect backbone=regnet_y_32gf num_classes=1000 image_size=4096": 0,
    "recipe.epochs=three": 2,
    "backbone=alexnet dataset.image_size=16": 2,
    "backbone=lenett": 2,
    "dataset=mnist": 2,
}

LOADS = {
    "pass": 0,
    "import visionkit": 0,
    "import numpy, visionkit; visionkit.load('latest').predict(numpy.zeros((28, 28), 'uint8'))": 0,
}
"""Programs of Python; the first is the interpreter alone."""


def seconds(command: str, expected: int, folder: str) -> tuple[float, float]:
    """The wall and processor time of one process; its exit code must be the expected one."""
    start, cpu_start = time.perf_counter(), processor_seconds()
    words = ["-c", command] if command in LOADS else ["-m", "visionkit", *command.split()]
    result = subprocess.run([sys.executable, *words], capture_output=True, cwd=folder)
    elapsed = time.perf_counter() - start
    if result.returncode != expected:
        sys.exit(f"'{command}' ended with {result.returncode}, expected {expected}: {result.stderr.decode()}")
    return elapsed, processor_seconds() - cpu_start


def processor_seconds() -> float:
    """User and system time of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="rounds over all commands after one warm-up")
    parser.add_argument("--backbones", action="store_true", help="inspect every named backbone instead")
    parser.add_argument("--load", action="store_true", help="import the package and load a run instead")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    arguments = parser.parse_args()
    commands = {f"inspect backbone={name}": 0 for name in list_backbones()} if arguments.backbones else COMMANDS
    commands = LOADS if arguments.load else commands
    costs: dict[str, list[tuple[float, float]]] = {command: [] for command in commands}
    with tempfile.TemporaryDirectory() as folder:
        if arguments.load:
            seconds("backbone=lenet hardware=cpu debug=fast", 0, folder)
        for round_index in range(arguments.rounds + 1):
            for command, expected in commands.items():
                elapsed = seconds(command, expected, folder)
                if round_index:
                    costs[command].append(elapsed)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    rows = [
        {
            "command": command,
            "median_s": statistics.median(wall for wall, _ in times),
            "slowest_s": max(wall for wall, _ in times),
            "processor_s": statistics.median(cpu for _, cpu in times),
        }
        for command, times in costs.items()
    ]
    machine = {"python": platform.python_version(), "processor": platform.machine(), "peak_memory_mib": round(peak)}
    if arguments.format == "json":
        print(json.dumps({**machine, "rounds": arguments.rounds, "commands": rows}, indent=2))
        return
    table = Table(title=f"Python {machine['python']}, peak memory {peak:.0f} MiB")
    for heading in ("python -c ..." if arguments.load else "python -m visionkit ...", "median", "slowest", "processor"):
        table.add_column(heading, justify="left" if "python" in heading else "right")
    for row in rows:
        table.add_row(
            row["command"], f"{row['median_s']:.2f} s", f"{row['slowest_s']:.2f} s", f"{row['processor_s']:.2f} s"
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()

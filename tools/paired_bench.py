"""Paired timing for the benchmarks of this folder: two steps take turns in one process, and their ratio is reported.

A round runs ours, theirs, theirs, ours. Reported are medians over rounds, and quartiles of the ratio, of wall time and
of the process's own CPU time, which other work on the machine disturbs less.
"""

import argparse
import ctypes
import gc
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy
import torch
from rich.console import Console
from rich.table import Table

from visionkit.runs.environment import describe_environment

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}

Step = Callable[[], Any]
Cost = tuple[float, float, float]
"""Of one run of a step: seconds of wall time, seconds of the process's CPU time, page faults."""
Row = dict[str, Any]
Column = tuple[str, Callable[[Row], str]]
"""The heading of a column, and its cell of a row."""


def keep_memory() -> None:
    """Have glibc use its heap for allocations of any size, and never trim it (mallopt(3))."""
    if platform.libc_ver()[0] != "glibc":
        sys.exit("--memory keep needs glibc. Use --memory return.")
    trim_threshold, mmap_max = -1, -4
    libc = ctypes.CDLL(None)
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, -1)


def time_pair(ours: Step, theirs: Step, *, rounds: int, seconds: float) -> list[tuple[Cost, Cost]]:
    """The costs of both steps in every round, each the mean of two runs.

    Args:
        ours: The step that is measured.
        theirs: The step it is compared with.
        rounds: The smallest number of rounds.
        seconds: Rounds go on for so long.
    """
    for step in (ours, theirs, theirs, ours):
        step()
    costs: list[tuple[Cost, Cost]] = []
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    while len(costs) < rounds or time.perf_counter() - start < seconds:
        first, second, third, fourth = (_cost(step) for step in (ours, theirs, theirs, ours))
        costs.append((_mean(first, fourth), _mean(second, third)))
    gc.enable()
    return costs


def summarize(costs: list[tuple[Cost, Cost]]) -> Row:
    """Medians over rounds, and quartiles of the ratio, under ``wall`` and ``cpu``."""
    sides = {"ours": [ours for ours, _ in costs], "theirs": [theirs for _, theirs in costs]}
    summary: Row = {"rounds": len(costs)}
    for index, kind in enumerate(("wall", "cpu")):
        ratios = [ours[index] / theirs[index] for ours, theirs in costs]
        low, middle, high = numpy.quantile(ratios, [0.25, 0.5, 0.75]).tolist()
        summary[kind] = {"ratio": round(middle, 4), "quartiles": [round(low, 4), round(high, 4)]}
        for side, values in sides.items():
            summary[kind][f"{side}_ms"] = round(1e3 * statistics.median(c[index] for c in values), 3)
    summary["page_faults"] = {side: statistics.median(c[2] for c in values) for side, values in sides.items()}
    return summary


def describe_row(row: Row) -> str:
    """The ratios of a row in one line."""
    ratios = ", ".join(f"{kind} {ratio(row, kind)} ({quartiles(row, kind, ' to ')})" for kind in ("wall", "cpu"))
    return f"{row['name']} {row['memory_format']} {row['pass']}: {ratios}, {row['rounds']} rounds"


def make_figures(rows: list[Row], options: argparse.Namespace, *, without: Sequence[str] = ("json",)) -> dict[str, Any]:
    """Rows, options and environment; written as JSON to the file of ``--json``, if any.

    Args:
        rows: The rows of the report.
        options: The options of the command line.
        without: Options that are left out.
    """
    figures = {
        "rows": rows,
        "options": {key: value for key, value in vars(options).items() if key not in without},
        "environment": describe_environment(),
    }
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return figures


def print_report(
    figures: dict[str, Any], *, title: str, labels: Sequence[Column], numbers: Sequence[Column], note: str
) -> None:
    """Print a table of all rows, a note, and the environment.

    Args:
        figures: The result of `make_figures`.
        title: Of the table.
        labels: Columns of text, aligned left.
        numbers: Columns of numbers, aligned right.
        note: A line below the table.
    """
    table = Table(title=title, title_justify="left")
    for heading, _ in labels:
        table.add_column(heading, no_wrap=True)
    for heading, _ in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in figures["rows"]:
        table.add_row(*(cell(row) for _, cell in (*labels, *numbers)))
    console = Console(highlight=False, width=150)
    console.print(table)
    console.print(note)
    environment = figures["environment"]
    console.print(", ".join(f"{name} {version}" for name, version in environment["versions"].items()))
    console.print(f"{environment['cpu']}, {environment['cpu_cores']} cores")


def value(key: str) -> Callable[[Row], str]:
    """The cell of a row's text under a key."""
    return lambda row: str(row[key])


def time_columns(ours: str, theirs: str, *, kind: str = "wall") -> list[Column]:
    """Columns of the medians of both sides, such as ``12.3 ms``, under these headings."""
    return [
        (ours, lambda row: f"{row[kind]['ours_ms']:.1f} ms"),
        (theirs, lambda row: f"{row[kind]['theirs_ms']:.1f} ms"),
    ]


def ratio_columns(kind: str) -> list[Column]:
    """Columns of the median ratio and of its quartiles, of ``wall`` or ``cpu`` time."""
    heading = {"wall": "wall ratio", "cpu": "CPU ratio"}[kind]
    return [(heading, lambda row: ratio(row, kind)), ("quartiles", lambda row: quartiles(row, kind))]


def ratio(row: Row, kind: str) -> str:
    """The median ratio, such as ``0.987``."""
    return f"{row[kind]['ratio']:.3f}"


def quartiles(row: Row, kind: str, separator: str = " ") -> str:
    """The quartiles of the ratio, such as ``0.980 0.991``."""
    return separator.join(f"{value:.3f}" for value in row[kind]["quartiles"])


def _cost(step: Step) -> Cost:
    before = _usage()
    step()
    wall, cpu, faults = (now - then for now, then in zip(_usage(), before, strict=True))
    return wall, cpu, faults


def _usage() -> Cost:
    """Of this process since its start."""
    return time.perf_counter(), time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _mean(a: Cost, b: Cost) -> Cost:
    wall, cpu, faults = ((x + y) / 2 for x, y in zip(a, b, strict=True))
    return wall, cpu, faults

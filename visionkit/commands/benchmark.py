"""The verb ``benchmark``: how fast runs or networks are by each engine, beside their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.benchmarking.options import read_options
from visionkit.console import Printer, loading, print_json
from visionkit.errors import ExitCode, UserError
from visionkit.files import new_picture_file, write_atomic
from visionkit.report.tables import print_grid
from visionkit.tasks.info import TASKS
from visionkit.text import json_text

if TYPE_CHECKING:
    from visionkit.benchmarking.benchmark import Benchmark

__all__ = ["benchmark"]


def benchmark(
    plains: Sequence[Mapping[str, Any]], paths: Sequence[Path | None], options: Mapping[str, Any], *, use_dataset: bool
) -> int:
    """Print a table of speed, memory and score, and write it as a picture and JSON where ``out`` says.

    Args:
        plains: A configuration for each run or network.
        paths: The folder of each run; None for networks with random weights.
        options: The options of the verb, see `read_options`, and ``out``.
        use_dataset: Whether a data set was typed for networks without runs.

    Returns:
        0.

    Raises:
        UserError: If an option is wrong, runs are of different tasks or have no checkpoint, or nothing runs.
    """
    read = read_options({key: value for key, value in options.items() if key != "out"})
    out = new_picture_file(options["out"], example="speed.png", beside=".json") if "out" in options else None
    if paths[0] is not None and read.num_classes is not None:
        raise UserError("num_classes: a run has its own classes. Leave it out, or measure a network: backbone=resnet18")
    printer = Printer(to_stderr=read.format == "json")
    with loading():
        from visionkit.benchmarking.benchmark import run_benchmark
        from visionkit.benchmarking.specs import make_specs
        from visionkit.benchmarking.tables import benchmark_document, benchmark_grid

    specs = make_specs(plains, paths, read, use_dataset=use_dataset)
    task = TASKS[specs[0].config().task.name]
    found = run_benchmark(specs, read, monitor=task.monitor, printer=printer)
    if all(row.error for row in found.rows):
        raise UserError(f"benchmark: nothing runs. {found.rows[0].engine}: {found.rows[0].error}")
    picture = None if out is None else _draw(found, out)
    document = benchmark_document(found, asdict(read), picture=picture)
    if out is not None:
        write_atomic(out.with_suffix(".json"), json_text(document, indent=1) + "\n")
    if read.format == "json":
        print_json(document)
        return ExitCode.DONE
    print_grid(benchmark_grid(found), "text")
    if out is None:
        printer.print("As a picture, with all figures as JSON beside it: add out=speed.png")
    else:
        written = [*([picture] if picture else []), str(out.with_suffix(".json"))]
        printer.print(f"Written: {', '.join(written)}")
    return ExitCode.DONE


def _draw(found: Benchmark, out: Path) -> str | None:
    from visionkit.report.plots.score_latency import ScorePoint, plot_score_latency

    points = [
        ScorePoint(row.spec.label, row.engine, row.batch, 1e3 * row.times.p50, row.score)
        for row in found.rows
        if row.times is not None and row.score is not None
    ]
    if plot_score_latency(points, out, metric=found.metric):
        return str(out)
    found.notes.append(f"without a score there is no picture of score against latency, and '{out}' is not drawn")
    return None

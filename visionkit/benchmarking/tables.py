"""A benchmark as a table of text, as a document, and as the points of a picture."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from visionkit.benchmarking.benchmark import Benchmark, Row
from visionkit.metric_names import metric_title
from visionkit.report.tables import Grid
from visionkit.runs.environment import describe_environment
from visionkit.text import count_of

__all__ = ["MEASURED", "benchmark_document", "benchmark_grid"]

MEASURED = (
    "Times are of a batch, from prepared tensors to predictions on the CPU; reading and resizing of images is not "
    "in them."
)
_MB = 1e6


def benchmark_grid(benchmark: Benchmark) -> Grid:
    """A row per network, engine and batch; the errors stand below."""
    with_score = any(row.score is not None for row in benchmark.rows)
    with_memory = any(row.memory is not None for row in benchmark.rows)
    headings = ["network", "engine", "batch", "size", "p50 ms", "p90 ms", "p99 ms", "images / s"]
    headings += ["memory MB"] * with_memory + [metric_title(benchmark.metric)] * with_score
    rows = []
    for row in benchmark.rows:
        cells = [row.spec.label, row.engine, str(row.batch), "x".join(map(str, row.image_size)), *_time_cells(row)]
        cells += ["-" if row.memory is None else f"{row.memory / _MB:,.0f}"] * with_memory
        cells += ["-" if row.score is None else f"{row.score:.4f}"] * with_score
        rows.append(cells)
    title = f"{benchmark.task} on {_device(benchmark)}, {count_of(benchmark.threads, 'thread')}"
    aligned = [False, False] + [True] * (len(headings) - 2)
    return Grid(title, headings, rows, aligned, notes=(MEASURED, *_notes(benchmark)), elsewhere="format=json")


def benchmark_document(benchmark: Benchmark, options: Mapping[str, Any], *, picture: str | None) -> dict[str, Any]:
    """Everything as plain values, with versions and hardware.

    Args:
        benchmark: What was found.
        options: What was asked for.
        picture: The file of the picture, if there is one.
    """
    environment = describe_environment()
    for package in ("onnxruntime", "onnx"):
        try:
            environment["versions"][package] = version(package)
        except PackageNotFoundError:
            environment["versions"][package] = "not installed"
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "task": benchmark.task,
        "metric": benchmark.metric,
        "device": benchmark.device,
        "precision": benchmark.precision,
        "threads": benchmark.threads,
        "measured": MEASURED,
        "options": dict(options),
        "rows": [_plain_row(row) for row in benchmark.rows],
        "notes": _notes(benchmark),
        "picture": picture,
        "environment": environment | {"threads": benchmark.threads},
    }


def _plain_row(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {
        "network": row.spec.label,
        "run": None if row.spec.path is None else str(row.spec.path),
        "engine": row.engine,
        "batch": row.batch,
        "image_size": list(row.image_size),
        "images": row.images,
        "score": row.score,
        "memory_bytes": None if row.memory is None else int(row.memory),
        "error": row.error or None,
    }
    if row.times is not None and row.warm_up is not None:
        times = row.times
        found |= {
            "p50_ms": _ms(times.p50),
            "p90_ms": _ms(times.p90),
            "p99_ms": _ms(times.p99),
            "images_per_second": round(row.batch / times.mean, 2),
            "calls": times.calls,
            "warm_up_calls": row.warm_up.calls,
            "first_call_ms": _ms(row.warm_up.first_seconds),
            "stable": row.warm_up.stable,
        }
    return found


def _notes(benchmark: Benchmark) -> list[str]:
    """What must be said of the numbers, the errors among it."""
    kinds = dict.fromkeys(row.images for row in benchmark.rows)
    shown = ["noise" if kind == "noise" else f"those of the {kind} split" for kind in kinds]
    notes = [f"Images are {' and '.join(shown)}.", *benchmark.notes]
    unstable = [row for row in benchmark.rows if row.warm_up is not None and row.times is not None]
    unstable = [row for row in unstable if row.warm_up is not None and not row.warm_up.stable]
    if unstable:
        names = ", ".join(f"{row.spec.label} {row.engine} at batch {row.batch}" for row in unstable)
        notes.append(f"Not steady after ten seconds of warm-up, so that times may be those of a busy machine: {names}")
    if any(row.spec.path is None for row in benchmark.rows):
        notes.append("Networks without a run have random weights, and no score.")
    errors: dict[str, None] = {}
    for row in benchmark.rows:
        if row.error:
            errors[f"{row.spec.label} {row.engine}: {row.error}"] = None
    return notes + list(errors)


def _time_cells(row: Row) -> list[str]:
    if row.times is None:
        return ["-"] * 4
    times = row.times
    return [*(_three(1e3 * value) for value in (times.p50, times.p90, times.p99)), _three(row.batch / times.mean)]


def _three(value: float) -> str:
    """With three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ms(seconds: float) -> float:
    return round(1e3 * seconds, 4)


def _device(benchmark: Benchmark) -> str:
    from visionkit.distributed.devices import cpu_model, device_name

    return cpu_model() if benchmark.device == "cpu" else device_name(benchmark.device)

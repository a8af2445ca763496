"""The benchmark: several models by several engines on the same images, score and speed and memory of each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from visionkit.benchmarking.candidates import Candidate, prepare, score_candidates
from visionkit.benchmarking.engines import Engine
from visionkit.benchmarking.memory import MemoryTask, measure_memory
from visionkit.benchmarking.networks import Batch, NetworkSpec, load_network
from visionkit.benchmarking.options import BenchmarkOptions
from visionkit.console import Printer
from visionkit.distributed.devices import available_cores
from visionkit.export.timing import Percentiles, WarmUp, percentiles, take_turns, warm_up
from visionkit.text import count_of

__all__ = ["Benchmark", "Row", "run_benchmark"]


@dataclass
class Row:
    """One network by one engine at one size of batch; times are those of a whole batch.

    Attributes:
        spec: The network.
        engine: As typed.
        batch: Images that are predicted together.
        image_size: Height and width of the batch in pixels.
        images: The split whose images they are, or ``noise``.
        times: None where ``error`` says why.
        warm_up: What went before.
        score: The task's metric on the split; None where it was not measured.
        memory: Bytes; None where it was not measured.
        error: Why the engine does not run; else empty.
    """

    spec: NetworkSpec
    engine: str
    batch: int
    image_size: tuple[int, int] = (0, 0)
    images: str = "noise"
    times: Percentiles | None = None
    warm_up: WarmUp | None = None
    score: float | None = None
    memory: float | None = None
    error: str = ""


@dataclass
class Benchmark:
    """What was found.

    Attributes:
        task: Name of the task.
        metric: What scores are, such as ``val/accuracy``.
        device: Of torch; onnxruntime is on the CPU.
        precision: Of torch.
        threads: Of torch and of onnxruntime.
        rows: One per network, engine and batch, in the order in which they were typed.
        notes: What is to be said of them.
    """

    task: str
    metric: str
    device: str
    precision: str
    threads: int
    rows: list[Row]
    notes: list[str] = field(default_factory=list)


def run_benchmark(
    specs: Sequence[NetworkSpec], options: BenchmarkOptions, *, monitor: str, printer: Printer
) -> Benchmark:
    """Measure networks of one task.

    Args:
        specs: Runs, or networks with random weights.
        options: The user's.
        monitor: The deciding metric of the task, such as ``val/accuracy``.
        printer: Says what is done.

    Raises:
        UserError: If a run has no checkpoint, or the data set no such split.
    """
    threads = options.threads or available_cores()
    metric = monitor.replace("val/", f"{options.split}/", 1)
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder, _threads(threads):
        candidates = [Candidate(spec, load_network(spec)) for spec in specs]
        for candidate in candidates:
            prepare(candidate, options, Path(folder), threads, notes, printer)
        if options.accuracy:
            score_candidates(candidates, metric, options, notes, printer)
        torch.set_num_threads(threads)
        notes += _machine_notes(candidates)
        rows = _time(candidates, options, printer)
        if options.memory:
            _measure_memory(candidates, rows, threads, notes, printer)
    first = candidates[0].network
    on_gpu = first.device.type != "cpu"
    if on_gpu and any(engine.startswith("onnx") for engine in options.engines):
        notes.append(f"eager and compile run on {first.device.type}, onnxruntime on the CPU")
    return Benchmark(first.task, metric, first.device.type, first.precision, threads, rows, notes)


def _machine_notes(candidates: Sequence[Candidate]) -> list[str]:
    """What makes the numbers worth less: a busy machine, and data sets that differ."""
    notes = []
    cores = available_cores()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > cores:
        notes.append(
            f"The machine is busy (a load of {load:.1f} on {count_of(cores, 'core')}), which slows what has several "
            "threads most: measure on a quiet one, or with threads=1."
        )
    data = [(c.network.data["class_names"], c.spec.plain["dataset"]) for c in candidates if c.has_data]
    if any(values != data[0] for values in data[1:]):
        notes.append("The runs have different data sets or settings of it, and their scores may not compare.")
    return notes


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """A context in which torch has so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _time(candidates: Sequence[Candidate], options: BenchmarkOptions, printer: Printer) -> list[Row]:
    """The rows with their times; what fails in its first call is left out, with its error."""
    rows = []
    for count in options.batch:
        group = [
            Row(candidate.spec, engine, count, error=candidate.errors.get(engine, ""))
            for candidate in candidates
            for engine in options.engines
        ]
        by_subject = {id(candidate.spec): candidate for candidate in candidates}
        calls = {}
        for number, row in enumerate(group):
            candidate = by_subject[id(row.spec)]
            batch = candidate.batches[count]
            height, width = batch[0].shape[2:]
            row.image_size, row.score = (height, width), candidate.scores.get(row.engine)
            row.images = options.split if candidate.has_data else "noise"
            if row.error:
                continue
            printer.print(f"{row.spec.label} {row.engine}: warming up at batch {count}")

            def call(engine: Engine = candidate.engines[row.engine], batch: Batch = batch) -> Any:
                return engine(batch)

            try:
                row.warm_up = warm_up(call)
                calls[number] = call
            except Exception as error:  # of a compiler, a runtime, or a network that does not take the size
                row.error = _reason(error, row)
        printer.print(f"timing {len(calls)} at batch {count}, in turns")
        for number, seconds in take_turns(calls, seconds=options.seconds).items():
            group[number].times = percentiles(seconds)
        rows += group
    order = {(id(c.spec), e): n for n, (c, e) in enumerate((c, e) for c in candidates for e in options.engines)}
    return sorted(rows, key=lambda row: order[id(row.spec), row.engine])


def _reason(error: Exception, row: Row) -> str:
    """Why a first call failed, in one line."""
    text = " ".join(str(error).split())
    what = "torch.compile failed" if row.engine == "compile" else "it does not run"
    height, width = row.image_size
    sized = "" if row.spec.image_size is None else f" on images of {height} x {width}"
    return f"{what}{sized}: {type(error).__name__}: {text[:300]}"


def _measure_memory(
    candidates: Sequence[Candidate], rows: Sequence[Row], threads: int, notes: list[str], printer: Printer
) -> None:
    """Fill in the memory of the rows that have times; why there is none is added to the notes."""
    for candidate in candidates:
        for engine in candidate.engines:
            timed = [row for row in rows if row.spec is candidate.spec and row.engine == engine and row.times]
            if not timed:
                continue
            printer.print(f"{candidate.spec.label} {engine}: measuring memory in a process of its own")
            arrays: Mapping[int, Any] = {
                row.batch: tuple(None if t is None else t.numpy() for t in candidate.batches[row.batch])
                for row in timed
            }
            task = MemoryTask(candidate.spec, engine, candidate.files.get(engine), threads, arrays)
            try:
                found = measure_memory(task)
            except ChildProcessError as error:
                notes.append(f"{candidate.spec.label} {engine}: its memory could not be measured: {error}")
                continue
            for row in timed:
                row.memory = found[row.batch]

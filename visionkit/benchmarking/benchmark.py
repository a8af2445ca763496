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

from visionkit.benchmarking.engines import Engine, check_file, make_onnx, make_torch, onnx_file
from visionkit.benchmarking.memory import MemoryTask, measure_memory
from visionkit.benchmarking.networks import Batch, Network, Subject, load_network, make_batch, read_images
from visionkit.benchmarking.options import BenchmarkOptions
from visionkit.benchmarking.timing import Percentiles, WarmUp, percentiles, take_turns, warm_up
from visionkit.console import Printer
from visionkit.distributed.devices import available_cores
from visionkit.distributed.processes import Processes
from visionkit.errors import UserError
from visionkit.runs.checkpoint import check_data, check_splits
from visionkit.runs.folder import RunFolder
from visionkit.text import count_of
from visionkit.training.evaluation import evaluate_run

__all__ = ["Benchmark", "Row", "run_benchmark"]


@dataclass
class Row:
    """One network by one engine at one size of batch; times are those of a whole batch.

    Attributes:
        subject: The network.
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

    subject: Subject
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


@dataclass
class _Contender:
    """A network, its images, and the engines that run it."""

    subject: Subject
    network: Network
    has_data: bool = False
    batches: dict[int, Batch] = field(default_factory=dict)
    engines: dict[str, Engine] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)


def run_benchmark(
    subjects: Sequence[Subject], options: BenchmarkOptions, *, monitor: str, printer: Printer
) -> Benchmark:
    """Measure networks of one task.

    Args:
        subjects: Runs, or networks with random weights.
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
        contenders = [_Contender(subject, load_network(subject)) for subject in subjects]
        for contender in contenders:
            _prepare(contender, options, Path(folder), threads, notes, printer)
        if options.accuracy:
            _score(contenders, metric, options, notes, printer)
        torch.set_num_threads(threads)
        notes += _machine_notes(contenders)
        rows = _time(contenders, options, printer)
        if options.memory:
            _measure_memory(contenders, rows, threads, printer)
    first = contenders[0].network
    on_gpu = first.device.type != "cpu"
    if on_gpu and any(engine.startswith("onnx") for engine in options.engines):
        notes.append(f"eager and compile run on {first.device.type}, onnxruntime on the CPU")
    return Benchmark(first.task, metric, first.device.type, first.precision, threads, rows, notes)


def _machine_notes(contenders: Sequence[_Contender]) -> list[str]:
    """What makes the numbers worth less: a busy machine, and data sets that differ."""
    notes = []
    cores = available_cores()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > cores:
        notes.append(
            f"The machine is busy (a load of {load:.1f} on {count_of(cores, 'core')}), which slows what has several "
            "threads most: measure on a quiet one, or with threads=1."
        )
    data = [(c.network.data["class_names"], c.subject.plain["dataset"]) for c in contenders if c.has_data]
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


def _prepare(
    contender: _Contender, options: BenchmarkOptions, folder: Path, threads: int, notes: list[str], printer: Printer
) -> None:
    """Add images and engines to a network; what an engine lacks is among its errors."""
    subject, network = contender.subject, contender.network
    datamodule = None if subject.path is None else _open_data(subject, notes)
    if datamodule is not None and options.split not in datamodule.sizes:
        raise UserError(
            f"split: the data set of {subject.label} has no {options.split} split. Expected one of: "
            f"{', '.join(datamodule.sizes)}. Try: split=val"
        )
    dataset = None if datamodule is None else datamodule.dataset(options.split)
    contender.has_data = dataset is not None
    images = read_images(network, dataset, max(options.batch))
    contender.batches = {count: make_batch(network, images[:count]) for count in options.batch}
    for engine in options.engines:
        try:
            if engine in ("eager", "compile"):
                contender.engines[engine] = make_torch(network, compiled=engine == "compile")
                continue
            val = None if datamodule is None else datamodule.dataset("val")
            path = onnx_file(subject, network, engine, val, folder, printer)
            few = contender.batches[min(options.batch)]
            check_file(subject, network, path, few, exact=engine == "onnx", noise=dataset is None)
            contender.files[engine] = path
            contender.engines[engine] = make_onnx(path, threads=threads)
        except (UserError, OSError) as error:
            contender.errors[engine] = str(error)


def _open_data(subject: Subject, notes: list[str]) -> Any | None:
    """The data of a run; None, with a note, where they are not there or are others."""
    config, run = subject.config(), RunFolder.open(str(subject.path))
    try:
        datamodule = config.datamodule(run.splits_file if run.splits_file.exists() else None)
        datamodule.prepare_data()
        check_data(run, datamodule.info)
        check_splits(run, datamodule)
        datamodule.setup("test")
    except UserError as error:
        notes.append(f"{subject.label}: measured on noise and without a score, as its data cannot be read: {error}")
        return None
    return datamodule


def _score(
    contenders: Sequence[_Contender], metric: str, options: BenchmarkOptions, notes: list[str], printer: Printer
) -> None:
    """Evaluate each model once, and each exported file."""
    for contender in contenders:
        subject = contender.subject
        if subject.path is None or not contender.has_data:
            continue
        if subject.image_size is not None:
            notes.append(f"{subject.label}: no score, as image_size= is not that of the run's evaluation")
            continue
        run = RunFolder.open(str(subject.path))
        processes = Processes(contender.network.device.type)
        files = dict.fromkeys(contender.files.get(engine) for engine in contender.engines)
        scores: dict[Path | None, float] = {}
        for path in files:
            printer.print(f"{subject.label}: {metric} of {'the model' if path is None else path}")
            evaluation = evaluate_run(
                subject.config(), run, processes, split=options.split, onnx_file=path, printer=Printer.silent()
            )
            scores[path] = float(evaluation.scalars[metric])
        contender.scores = {engine: scores[contender.files.get(engine)] for engine in contender.engines}


def _time(contenders: Sequence[_Contender], options: BenchmarkOptions, printer: Printer) -> list[Row]:
    """The rows with their times; what fails in its first call is left out, with its error."""
    rows = []
    for count in options.batch:
        group = [
            Row(contender.subject, engine, count, error=contender.errors.get(engine, ""))
            for contender in contenders
            for engine in options.engines
        ]
        by_subject = {id(contender.subject): contender for contender in contenders}
        calls = {}
        for number, row in enumerate(group):
            contender = by_subject[id(row.subject)]
            batch = contender.batches[count]
            height, width = batch[0].shape[2:]
            row.image_size, row.score = (height, width), contender.scores.get(row.engine)
            row.images = options.split if contender.has_data else "noise"
            if row.error:
                continue
            printer.print(f"{row.subject.label} {row.engine}: warming up at batch {count}")

            def call(engine: Engine = contender.engines[row.engine], batch: Batch = batch) -> Any:
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
    order = {(id(c.subject), e): n for n, (c, e) in enumerate((c, e) for c in contenders for e in options.engines)}
    return sorted(rows, key=lambda row: order[id(row.subject), row.engine])


def _reason(error: Exception, row: Row) -> str:
    """Why a first call failed, in one line."""
    text = " ".join(str(error).split())
    what = "torch.compile failed" if row.engine == "compile" else "it does not run"
    height, width = row.image_size
    sized = "" if row.subject.image_size is None else f" on images of {height} x {width}"
    return f"{what}{sized}: {type(error).__name__}: {text[:300]}"


def _measure_memory(contenders: Sequence[_Contender], rows: Sequence[Row], threads: int, printer: Printer) -> None:
    """Fill in the memory of the rows that have times."""
    for contender in contenders:
        for engine in contender.engines:
            mine = [row for row in rows if row.subject is contender.subject and row.engine == engine and row.times]
            if not mine:
                continue
            printer.print(f"{contender.subject.label} {engine}: measuring memory in a process of its own")
            arrays: Mapping[int, Any] = {
                row.batch: tuple(None if t is None else t.numpy() for t in contender.batches[row.batch]) for row in mine
            }
            task = MemoryTask(contender.subject, engine, contender.files.get(engine), threads, arrays)
            found = measure_memory(task)
            for row in mine:
                row.memory = found[row.batch]

"""The networks of a benchmark with their images, the engines that run them, and the score of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from visionkit.benchmarking.engines import Engine, check_file, make_onnx, make_torch, onnx_file
from visionkit.benchmarking.networks import Batch, Network, NetworkSpec, make_batch, read_images
from visionkit.benchmarking.options import BenchmarkOptions
from visionkit.console import Printer
from visionkit.distributed.processes import Processes
from visionkit.errors import UserError
from visionkit.runs.checkpoint import open_data
from visionkit.runs.folder import RunFolder
from visionkit.training.evaluation import evaluate_run

__all__ = ["Candidate", "prepare", "score_candidates"]


@dataclass
class Candidate:
    """A network, its images, and the engines that run it.

    Attributes:
        spec: What it is made of.
        network: Its model.
        has_data: Whether its images are those of its data set, and not noise.
        batches: By the number of images.
        engines: By name; those that run.
        files: The exported file of an engine that has one.
        errors: Why an engine does not run.
        scores: The metric of an engine, where it was measured.
    """

    spec: NetworkSpec
    network: Network
    has_data: bool = False
    batches: dict[int, Batch] = field(default_factory=dict)
    engines: dict[str, Engine] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)


def prepare(
    candidate: Candidate, options: BenchmarkOptions, folder: Path, threads: int, notes: list[str], printer: Printer
) -> None:
    """Add images and engines to a network; what an engine lacks is among its errors.

    Args:
        candidate: The network.
        options: The user's.
        folder: A temporary one, for files of networks without a run.
        threads: Of onnxruntime.
        notes: What is to be said of the data is added to them.
        printer: Says what is done.

    Raises:
        UserError: If the data set has no such split.
    """
    spec, network = candidate.spec, candidate.network
    datamodule = None if spec.path is None else _open_data(spec, notes)
    if datamodule is not None and options.split not in datamodule.sizes:
        raise UserError(
            f"split: the data set of {spec.label} has no {options.split} split. Expected one of: "
            f"{', '.join(datamodule.sizes)}. Try: split=val"
        )
    dataset = None if datamodule is None else datamodule.dataset(options.split)
    candidate.has_data = dataset is not None
    images = read_images(network, dataset, max(options.batch))
    candidate.batches = {count: make_batch(network, images[:count]) for count in options.batch}
    for engine in options.engines:
        try:
            if engine in ("eager", "compile"):
                candidate.engines[engine] = make_torch(network, compiled=engine == "compile")
                continue
            val = None if datamodule is None else datamodule.dataset("val")
            path = onnx_file(spec, network, engine, val, folder, printer)
            smallest = candidate.batches[min(options.batch)]
            check_file(spec, network, path, smallest, exact=engine == "onnx", noise=dataset is None)
            candidate.files[engine] = path
            candidate.engines[engine] = make_onnx(path, threads=threads)
        except (UserError, OSError) as error:
            candidate.errors[engine] = str(error)


def score_candidates(
    candidates: Sequence[Candidate], metric: str, options: BenchmarkOptions, notes: list[str], printer: Printer
) -> None:
    """Evaluate each model once, and each exported file; what cannot be evaluated is among the errors of its engines.

    Args:
        candidates: The networks, prepared.
        metric: Such as ``val/accuracy``.
        options: The user's.
        notes: Why there is no score is added to them.
        printer: Says what is done.
    """
    for candidate in candidates:
        spec = candidate.spec
        if spec.path is None or not candidate.has_data:
            continue
        if spec.image_size is not None:
            notes.append(f"{spec.label}: no score, as image_size= is not that of the run's evaluation")
            continue
        engines: dict[Path | None, list[str]] = {}
        for engine in candidate.engines:
            engines.setdefault(candidate.files.get(engine), []).append(engine)
        for path, names in engines.items():
            printer.print(f"{spec.label}: {metric} of {'the model' if path is None else path}")
            try:
                candidate.scores |= dict.fromkeys(names, _evaluate(candidate, path, metric, split=options.split))
            except (UserError, OSError) as error:
                for engine in names:
                    candidate.errors[engine] = f"it cannot be evaluated: {error}"
                    del candidate.engines[engine]


def _evaluate(candidate: Candidate, onnx_file: Path | None, metric: str, *, split: str) -> float:
    """The metric of a run's model, or of an exported file."""
    config, run = candidate.spec.config(), RunFolder.open(str(candidate.spec.path))
    processes = Processes(candidate.network.device.type)
    if onnx_file is not None:
        config, processes = replace(config, hardware=config.hardware.on_cpu()), Processes("cpu")
    printer = Printer.silent()
    evaluation = evaluate_run(config, run, processes, split=split, onnx_file=onnx_file, printer=printer)
    return float(evaluation.scalars[metric])


def _open_data(spec: NetworkSpec, notes: list[str]) -> Any | None:
    """The data of a run; None, with a note, where they are not there or are others."""
    try:
        datamodule = open_data(spec.config(), RunFolder.open(str(spec.path)))
        datamodule.setup("test")
    except UserError as error:
        notes.append(f"{spec.label}: measured on noise and without a score, as its data cannot be read: {error}")
        return None
    return datamodule

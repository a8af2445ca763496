"""What runs a model: torch, torch.compile, or onnxruntime with an exported file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from visionkit.benchmarking.networks import Batch, Network, NetworkSpec
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError
from visionkit.export.comparison import check_parity
from visionkit.export.export_run import export_predictor
from visionkit.export.files import check_format_installed, onnx_runner, write_onnx
from visionkit.export.graph import ExportGraph
from visionkit.export.images import random_inputs
from visionkit.export.options import ExportOptions
from visionkit.export.parity import Parity
from visionkit.inference.base import autocast
from visionkit.inference.load import load_predictor
from visionkit.models.export_info import EXPORT_FORMAT, ExportInfo, Resize
from visionkit.models.onnx_model import METADATA_KEY, OnnxModel
from visionkit.runs.exports import check_export, export_file, export_path
from visionkit.runs.folder import RunFolder
from visionkit.text import safe_file_name

if TYPE_CHECKING:
    from visionkit.console import Printer

__all__ = ["Engine", "check_file", "make_onnx", "make_torch", "onnx_file"]

Engine = Callable[[Batch], dict[str, Tensor]]
"""From a batch to predictions on the CPU."""


def make_torch(network: Network, *, compiled: bool) -> Engine:
    """The model itself, or what `torch.compile` makes of it."""
    model = network.model
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # the compiler looks for CUDA on any machine
    forward: Any = torch.compile(model, dynamic=False) if compiled else model

    @torch.inference_mode()
    def run(batch: Batch) -> dict[str, Tensor]:
        images, sizes = batch
        images, sizes = images.to(network.device), None if sizes is None else sizes.to(network.device)
        with autocast(network.device, network.precision):
            predictions = model.predict(forward(images, sizes), sizes)
        return {name: value.cpu() for name, value in predictions.items()}

    return run


def make_onnx(path: Path, *, threads: int) -> Engine:
    """An exported file in onnxruntime on the CPU.

    Raises:
        UserError: As `OnnxModel`.
    """
    model = OnnxModel(path, num_threads=threads)
    return lambda batch: model.predict(model(*batch), batch[1])


def onnx_file(spec: NetworkSpec, network: Network, engine: str, dataset: Any, folder: Path, printer: Printer) -> Path:
    """The file of an engine, which is exported first if it is not there.

    Args:
        spec: The run, or what has none.
        network: Its model.
        engine: ``onnx`` or ``onnx-int8``.
        dataset: The validation split of the run; None if it cannot be read.
        folder: A temporary one, for files of networks without a run.
        printer: Says that a file is exported.

    Raises:
        UserError: If there is none and none can be made.
    """
    check_format_installed("onnx")
    if spec.path is None:
        return _export_random(network, engine, folder / f"{safe_file_name(spec.label)}.onnx", printer)
    run = RunFolder.open(str(spec.path))
    path = export_path(run, engine)
    if path.is_file() or engine != "onnx":
        found = export_file(run, engine)
        assert found is not None
        return found
    if dataset is None:
        raise UserError(
            f"there is no '{path}', and without the run's data an export cannot be compared with the run. Where the "
            "data is: dataset.root=FOLDER"
        )
    config = spec.config()
    printer.print(f"{spec.label}: no exported file yet, writing one")
    predictor = load_predictor(config, run, hardware=config.hardware.on_cpu())
    result = export_predictor(predictor, dataset, path.parent, options=ExportOptions(), on_progress=printer.print)
    if not result.parity.passed:
        raise UserError(
            f"the exported file differs from the run and is refused ({result.parity.problems[0]}). See "
            f"'{path.with_name('parity.json')}'"
        )
    return path


def _export_random(network: Network, engine: str, path: Path, printer: Printer) -> Path:
    if engine == "onnx-int8":
        raise UserError("int8 is calibrated on the images of a run, and random weights have none. Name one: run=FOLDER")
    printer.print(f"{path.stem}: exporting it with random weights")
    model = network.model if network.device.type == "cpu" else _on_cpu(network.model)
    graph = ExportGraph(model, task=network.task, decode=True)
    height, width = network.data["image_size"]
    inputs = random_inputs(network.data, network.task, size=(height, width))
    write_onnx(graph, inputs, path, {METADATA_KEY: _describe_random(network)}, dynamic_size=False)
    return path


def check_file(spec: NetworkSpec, network: Network, path: Path, batch: Batch, *, exact: bool, noise: bool) -> None:
    """Check that a file belongs to a network, and takes its images.

    Args:
        spec: The run, or what has none.
        network: Its model.
        path: The file.
        batch: Images.
        exact: Whether the file gives what the model gives, and not what int8 makes of it.
        noise: Whether the images are noise, of which predictions mean nothing.

    Raises:
        UserError: If it is another's, or of an earlier checkpoint.
    """
    file = OnnxModel(path)
    images, sizes = batch
    again = f"Export it again: python -m visionkit export run={spec.path} to=onnx"
    again += "" if exact else " int8=true"
    if spec.path is not None:
        check_export(file.export_info, RunFolder.open(str(spec.path)), task=network.task, file=path)
    shape = file.session.get_inputs()[0].shape
    if any(isinstance(side, int) and side != found for side, found in zip(shape[1:], images.shape[1:], strict=True)):
        height, width = shape[2:]
        raise UserError(
            f"'{path}' takes images of {height} x {width} pixels alone, and these have {images.shape[2]} x "
            f"{images.shape[3]}. "
            + (again if spec.image_size is None else "Leave image_size= out, or leave the engine out")
        )
    if exact:
        inputs = {"images": images} | ({} if sizes is None else {"image_sizes": sizes})
        parity = Parity(images=len(images))
        model = network.model if network.device.type == "cpu" else _on_cpu(network.model)
        check_parity(onnx_runner(path), model, [("images", inputs)], parity=parity, noise=noise)
        if not parity.passed:
            raise UserError(f"'{path}' differs from the model ({parity.problems[0]}). {again}")


def _describe_random(network: Network) -> dict[str, Any]:
    """What a file with random weights says of itself."""
    names = tuple(network.data["class_names"])
    task: Any = network.task
    info = ExportInfo(
        format=EXPORT_FORMAT, task=task, class_names=names, category_ids=tuple(range(len(names))),
        in_channels=network.data["in_channels"], value_range=None, max_pixels=None,
        resize=Resize(**asdict(InputTransform(tuple(network.data["image_size"])))), dynamic_size=False,
        size_multiple=1, batch_size=1, max_detections=getattr(network.model.head, "max_detections", None), decode=True,
        weights=None,
    )  # fmt: skip
    return asdict(info)


def _on_cpu(model: Any) -> Any:
    import copy

    return copy.deepcopy(model).cpu()

"""What runs a model: torch, torch.compile, or onnxruntime with an exported file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from visionkit.benchmarking.networks import Batch, Network, Subject
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError
from visionkit.export.comparison import check_parity
from visionkit.export.export_run import export_predictor
from visionkit.export.files import check_installed, write_onnx
from visionkit.export.graph import ExportGraph
from visionkit.export.images import random_images
from visionkit.export.options import ExportOptions
from visionkit.export.parity import Parity
from visionkit.inference.base import autocast
from visionkit.inference.load import load_predictor
from visionkit.models.export_info import EXPORT_FORMAT
from visionkit.models.onnx_model import METADATA_KEY, OnnxModel
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


def onnx_file(subject: Subject, network: Network, engine: str, dataset: Any, folder: Path, printer: Printer) -> Path:
    """The file of an engine, which is exported first if it is not there.

    Args:
        subject: The run, or what has none.
        network: Its model.
        engine: ``onnx`` or ``onnx-int8``.
        dataset: The validation split of the run; None if it cannot be read.
        folder: A temporary one, for files of networks without a run.
        printer: Says that a file is exported.

    Raises:
        UserError: If there is none and none can be made.
    """
    check_installed("onnx")
    if subject.path is None:
        return _export_random(network, engine, folder / f"{safe_file_name(subject.label)}.onnx", printer)
    target = subject.path / "exports" / engine
    path = target / "model.onnx"
    if path.exists():
        return path
    if engine == "onnx-int8":
        raise UserError(
            f"there is no '{path}'. Make it: python -m visionkit export run={subject.path} to=onnx int8=true"
        )
    if dataset is None:
        raise UserError(
            f"there is no '{path}', and without the run's data an export cannot be compared with the run. Where the "
            "data is: dataset.root=FOLDER"
        )
    config = subject.config()
    hardware = replace(config.hardware, accelerator="cpu", precision="32", devices=1)
    printer.print(f"{subject.label}: no exported file yet, writing one")
    predictor = load_predictor(config, RunFolder.open(str(subject.path)), hardware=hardware)
    result = export_predictor(predictor, dataset, target, options=ExportOptions(), on_progress=printer.print)
    if not result.parity.passed:
        raise UserError(
            f"the exported file differs from the run and is refused ({result.parity.problems[0]}). See "
            f"'{target / 'parity.json'}'"
        )
    return path


def _export_random(network: Network, engine: str, path: Path, printer: Printer) -> Path:
    if engine == "onnx-int8":
        raise UserError("int8 is calibrated on the images of a run, and random weights have none. Name one: run=FOLDER")
    printer.print(f"{path.stem}: exporting it with random weights")
    model = network.model if network.device.type == "cpu" else _on_cpu(network.model)
    graph = ExportGraph(model, task=network.task, decode=True, takes_sizes=network.takes_sizes)
    height, width = network.data["image_size"]
    inputs = {"images": torch.stack(random_images(network.data, 2, size=(height, width)))}
    if network.takes_sizes:
        inputs["image_sizes"] = torch.tensor([[height, width], [max(1, height // 2), width]])
    write_onnx(graph, inputs, path, {METADATA_KEY: _describe_random(network)}, dynamic_size=False)
    return path


def check_file(subject: Subject, network: Network, path: Path, batch: Batch, *, exact: bool, noise: bool) -> None:
    """Check that a file belongs to a network, and takes its images.

    Args:
        subject: The run, or what has none.
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
    again = f"Export it again: python -m visionkit export run={subject.path} to=onnx"
    again += "" if exact else " int8=true"
    if list(file.info["class_names"]) != list(network.data["class_names"]) or file.info["task"] != network.task:
        raise UserError(f"'{path}' is of another run: its task or its classes are others. {again}")
    if not file.info["decode"]:
        raise UserError(f"'{path}' gives raw outputs alone (decode=false). {again}")
    shape = file.session.get_inputs()[0].shape
    if any(isinstance(side, int) and side != found for side, found in zip(shape[1:], images.shape[1:], strict=True)):
        height, width = shape[2:]
        raise UserError(
            f"'{path}' takes images of {height} x {width} pixels alone, and these have {images.shape[2]} x "
            f"{images.shape[3]}. Leave image_size= out, or leave the engine out"
        )
    inference = network.inference
    if inference is not None and subject.image_size is None:
        resize = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(inference.transform).items()}
        if file.info["resize"] != resize:
            raise UserError(f"'{path}' expects images that are resized in another way than the run's. {again}")
    if exact:
        inputs = {"images": images} | ({} if sizes is None else {"image_sizes": sizes})
        parity = Parity(images=len(images))
        model = network.model if network.device.type == "cpu" else _on_cpu(network.model)
        check_parity(_runner(file), model, [("images", inputs)], parity=parity, noise=noise)
        if not parity.passed:
            raise UserError(f"'{path}' differs from the model ({parity.problems[0]}). {again}")


def _describe_random(network: Network) -> dict[str, Any]:
    """What a file with random weights says of itself."""
    names = network.data["class_names"]
    return {
        "format": EXPORT_FORMAT, "task": network.task, "class_names": list(names), "category_ids": [*range(len(names))],
        "in_channels": network.data["in_channels"], "value_range": None, "max_pixels": None,
        "resize": asdict(InputTransform(tuple(network.data["image_size"]))), "dynamic_size": False, "batch_size": 1,
        "max_detections": getattr(network.model.head, "max_detections", None), "decode": True, "weights": None,
    }  # fmt: skip


def _runner(file: OnnxModel) -> Callable[[Any], dict[str, Any]]:
    return lambda inputs: {n: v.numpy() for n, v in file(inputs["images"], inputs.get("image_sizes")).items()}


def _on_cpu(model: Any) -> Any:
    import copy

    return copy.deepcopy(model).cpu()

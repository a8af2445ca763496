"""The files of an export, and the runtimes that read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from visionkit.export.graph import ExportGraph
from visionkit.export.tracing import explained, layer_of_node, quiet_export, trace
from visionkit.files import open_atomic
from visionkit.models.onnx_model import open_session
from visionkit.registry import check_installed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "GRAPH_FORMATS", "GraphFormat", "Runner", "check_format_installed", "onnx_runner", "torch_export_runner",
    "write_onnx", "write_torch_export",
]  # fmt: skip

Runner = Callable[[Mapping[str, Tensor]], dict[str, "NDArray[Any]"]]
"""Runs an exported file: inputs by name to outputs by name."""


def write_onnx(
    graph: ExportGraph, inputs: Mapping[str, Tensor], path: Path, metadata: Mapping[str, Any], *, dynamic_size: bool
) -> None:
    """Write a graph as ONNX, with a dynamic batch.

    Args:
        graph: The model.
        inputs: An example of each input, by name.
        path: The file, which is written atomically.
        metadata: Values that are kept in the file as JSON, by name.
        dynamic_size: Whether images of any size are taken.

    Raises:
        UserError: If the graph has something that ONNX does not know; the layer is named.
    """
    traced = trace(graph, inputs, dynamic_size=dynamic_size)
    names = list(graph.run(inputs))
    with torch.no_grad(), quiet_export(), explained("ONNX", lambda error: layer_of_node(traced, error)):
        program = torch.onnx.export(
            traced, dynamo=True, verbose=False, input_names=list(inputs), output_names=names
        )  # fmt: skip
        assert program is not None
    program.model.metadata_props.update({name: json.dumps(value) for name, value in metadata.items()})
    with open_atomic(path) as file:
        file.write(program.model_proto.SerializeToString())


def write_torch_export(
    graph: ExportGraph, inputs: Mapping[str, Tensor], path: Path, metadata: Mapping[str, Any], *, dynamic_size: bool
) -> None:
    """As `write_onnx`, as a file of `torch.export`."""
    program = trace(graph, inputs, dynamic_size=dynamic_size)
    extra = {name: json.dumps(value) for name, value in metadata.items()}
    with open_atomic(path) as file, quiet_export():
        torch.export.save(program, file, extra_files=extra)


def onnx_runner(path: Path) -> Runner:
    """The file in onnxruntime on the CPU.

    Raises:
        UserError: If the file is none of ONNX.
    """
    session = open_session(path)
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(
        zip(names, session.run(names, {name: value.numpy() for name, value in inputs.items()}), strict=True)
    )


def torch_export_runner(path: Path) -> Runner:
    """The file of `torch.export` on the CPU."""
    with quiet_export():
        module = torch.export.load(path).module()

    def run(inputs: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
        with torch.no_grad():
            return {name: np.asarray(value) for name, value in module(**inputs).items()}

    return run


def describe_onnx(path: Path, metadata: Mapping[str, Any]) -> None:
    """Replace the metadata of a file of `write_onnx`."""
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in metadata.items()})
    with open_atomic(path) as file:
        file.write(model.SerializeToString())


def describe_torch_export(path: Path, metadata: Mapping[str, Any]) -> None:
    """Replace the metadata of a file of `write_torch_export`."""
    extra = {name: json.dumps(value) for name, value in metadata.items()}
    with quiet_export():
        program = torch.export.load(path)
        with open_atomic(path) as file:
            torch.export.save(program, file, extra_files=extra)


class GraphFormat(NamedTuple):
    """What is traced: the name of the file, what writes, runs, and describes it anew."""

    file_name: str
    write: Callable[..., None]
    runner: Callable[[Path], Runner]
    describe: Callable[[Path, Mapping[str, Any]], None]


GRAPH_FORMATS: Mapping[str, GraphFormat] = {
    "onnx": GraphFormat("model.onnx", write_onnx, onnx_runner, describe_onnx),
    "torch_export": GraphFormat("model.pt2", write_torch_export, torch_export_runner, describe_torch_export),
}
"""By the word of ``to=``."""


def check_format_installed(to: str) -> None:
    """Check that the packages are there that write and run a format.

    Raises:
        UserError: If one is not.
    """
    if to == "onnx":
        check_installed("onnx", "onnxscript", "onnxruntime", needed_by="to=onnx", extra="onnx")

"""The files of an export, and the runtimes that read them."""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from visionkit.errors import UserError
from visionkit.export.graph import ExportGraph
from visionkit.files import open_atomic
from visionkit.models.onnx_model import open_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = [
    "FORMATS", "Runner", "check_installed", "onnx_runner", "torch_export_runner", "write_onnx", "write_torch_export",
]  # fmt: skip

Arrays = dict[str, Any]
Runner = Callable[[Mapping[str, Tensor]], dict[str, "NDArray[Any]"]]
"""Runs an exported file: inputs by name to outputs by name."""

_MAX_BATCH = 4096
_INSTALL = 'pip install "visionkit[onnx]"'


def write_onnx(graph: ExportGraph, inputs: Mapping[str, Tensor], path: Path, metadata: Mapping[str, Any]) -> None:
    """Write a graph as ONNX, with a dynamic batch.

    Args:
        graph: The model.
        inputs: An example of each input, by name.
        path: The file, which is written atomically.
        metadata: Values that are kept in the file as JSON, by name.

    Raises:
        UserError: If the graph has something that ONNX does not know.
    """
    with torch.no_grad(), _explained("ONNX"):
        names = list(graph(**inputs))
        program = torch.onnx.export(
            graph, (), kwargs=dict(inputs), dynamo=True, dynamic_shapes=_dynamic_batch(inputs), verbose=False,
            input_names=list(inputs), output_names=names,
        )  # fmt: skip
        assert program is not None
    program.model.metadata_props.update({name: json.dumps(value) for name, value in metadata.items()})
    with open_atomic(path) as file:
        file.write(program.model_proto.SerializeToString())


def write_torch_export(
    graph: ExportGraph, inputs: Mapping[str, Tensor], path: Path, metadata: Mapping[str, Any]
) -> None:
    """As `write_onnx`, as a file of `torch.export`."""
    with torch.no_grad(), _explained("torch.export"):
        program = torch.export.export(graph, (), dict(inputs), dynamic_shapes=_dynamic_batch(inputs))
    extra = {name: json.dumps(value) for name, value in metadata.items()}
    with open_atomic(path) as file:
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.export.load(path).module()

    def run(inputs: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
        with torch.no_grad():
            return {name: np.asarray(value) for name, value in module(**inputs).items()}

    return run


FORMATS: Mapping[str, tuple[str, Callable[..., None], Callable[[Path], Runner]]] = {
    "onnx": ("model.onnx", write_onnx, onnx_runner),
    "torch_export": ("model.pt2", write_torch_export, torch_export_runner),
}
"""The name of the file, what writes it and what runs it, by the word of ``to=``."""


def _dynamic_batch(inputs: Mapping[str, Tensor]) -> dict[str, Any]:
    batch = torch.export.Dim("batch", min=1, max=_MAX_BATCH)
    return {name: {0: batch} for name in inputs}


def check_installed(to: str) -> None:
    """Check that the packages are there that write and run a format.

    Raises:
        UserError: If one is not.
    """
    packages = ("onnx", "onnxscript", "onnxruntime") if to == "onnx" else ()
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"to=onnx needs {' and '.join(missing)}, which is not installed. Try: {_INSTALL}")


@contextmanager
def _explained(form: str) -> Iterator[None]:
    """A context in which what cannot be exported is an error that names it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:400]
        raise UserError(
            f"export: this network has a part that {form} does not take: {type(error).__name__}: {reason}. Expected "
            "layers with another form. Try to=torch_export, or another backbone or head."
        ) from error

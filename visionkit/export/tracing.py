"""Tracing a graph by ``torch.export``, and which layer is the one that has no such form."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import torch
from torch import Tensor, nn

from visionkit.errors import UserError

__all__ = ["explained", "layer_of_node", "quiet_export", "trace"]

_MAX_BATCH = 4096
_PREFIX = "model."
_REASON_LENGTH = 300


def trace(graph: nn.Module, inputs: Mapping[str, Tensor], *, dynamic_size: bool) -> torch.export.ExportedProgram:
    """A graph as ``torch.export`` traces it.

    Args:
        graph: The module.
        inputs: An example of each input, by name.
        dynamic_size: Whether images of any size are taken, not those of the example alone.

    Raises:
        UserError: If a layer depends on the data in a way that a graph cannot; it is named.
    """
    entered: list[str] = []
    hooks = [hook for name, module in graph.named_modules() if name for hook in _follow(module, name, entered)]
    try:
        with torch.no_grad(), quiet_export(), explained("torch.export", lambda error: _layer(entered, graph)):
            shapes = _dynamic_shapes(inputs, dynamic_size=dynamic_size)
            return torch.export.export(graph, (), dict(inputs), dynamic_shapes=shapes)
    finally:
        for hook in hooks:
            hook.remove()


def _dynamic_shapes(inputs: Mapping[str, Tensor], *, dynamic_size: bool) -> dict[str, Any]:
    """The dimensions of each input that may change: the batch, and if wanted height and width of images."""
    batch = torch.export.Dim("batch", min=1, max=_MAX_BATCH)
    shapes: dict[str, dict[int, Any]] = {name: {0: batch} for name in inputs}
    if dynamic_size:
        shapes["images"] |= {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    return shapes


def layer_of_node(program: torch.export.ExportedProgram, error: BaseException) -> str:
    """The first layer with the operator that an error of the conversion to ONNX names; empty if it names none."""
    operators: set[str] = set()
    cause: BaseException | None = error
    while cause is not None:  # a node is called after its operator, with a number behind it
        operators |= {re.sub(r"_\d+$", "", name) for name in re.findall(r"node %(\w+)", str(cause))}
        cause = cause.__cause__
    for node in program.graph.nodes:
        stack = node.meta.get("nn_module_stack")
        if stack and any(operator in str(node.target) for operator in operators):
            path, kind = list(stack.values())[-1]
            return _describe(path, kind if isinstance(kind, str) else kind.__name__)
    return ""


@contextmanager
def quiet_export() -> Iterator[None]:
    """A context in which torch's exporters print, log and warn of nothing: what fails is an exception."""
    level, logger = logging.root.manager.disable, logging.root.manager
    try:
        logging.disable(logging.CRITICAL)
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disable = level


@contextmanager
def explained(form: str, find_layer: Any) -> Iterator[None]:
    """A context in which what cannot be exported is an error that names the layer.

    Args:
        form: The form of the file, for the message.
        find_layer: Takes the error, and gives the layer in words, or an empty text.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        deepest: BaseException = error
        while deepest.__cause__ is not None:
            deepest = deepest.__cause__
        reason = " ".join(str(deepest).split())[:_REASON_LENGTH]
        layer = find_layer(error)
        other = "" if form == "torch.export" else ", or to=torch_export"
        raise UserError(
            f"export: {layer or 'this network has a part that'} does not go into {form}: {type(deepest).__name__}: "
            f"{reason}. Expected layers of operators that {form} has, whose sizes and branches do not depend on values "
            f"of the data. Try another layer, head or backbone{other}"
        ) from error


def _follow(module: nn.Module, name: str, entered: list[str]) -> Iterator[Any]:
    """Hooks that keep the names of the modules whose forward pass has begun and not ended."""
    yield module.register_forward_pre_hook(lambda module, args: entered.append(name))
    yield module.register_forward_hook(lambda module, args, output: (entered.pop(), None)[1])


def _layer(entered: list[str], graph: nn.Module) -> str:
    return _describe(entered[-1], type(graph.get_submodule(entered[-1])).__name__) if entered else ""


def _describe(path: str, kind: str) -> str:
    return f"the layer '{path.removeprefix(_PREFIX)}' ({kind.rpartition('.')[2]})"

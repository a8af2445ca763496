"""Static 8-bit quantisation of an ONNX file: which nodes, calibrated on which images."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from visionkit.errors import UserError

__all__ = ["SCHEMES", "check_int8_supported", "find_quantizable", "has_vnni", "quantize", "simplify"]

SCHEMES = ("per_channel", "per_tensor")
"""One scale for each output channel of a weight, or one for the whole weight."""

_VNNI = ("avx512_vnni", "avx_vnni")
_LAYERS = {"Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1}
"""The position of the weight among the inputs."""
_FOLLOWERS = {
    "Add", "AveragePool", "Clip", "Concat", "Flatten", "GlobalAveragePool", "LeakyRelu", "MaxPool", "Mul", "Relu",
    "Reshape", "Resize", "Sigmoid", "Squeeze", "Transpose",
}  # fmt: skip
_MERGES = {"Add", "Concat", "Mul"}
"""Their inputs must all be feature maps: a constant added or multiplied belongs to a normalisation or to decoding."""


def check_int8_supported() -> None:
    """Check that this CPU multiplies 8-bit numbers faster than floats.

    Raises:
        UserError: If it has neither AVX-512 nor VNNI.
    """
    if not _has("avx512_f", *_VNNI):
        raise UserError(
            f"int8=true: this CPU ({torch.backends.cpu.get_cpu_capability()}) has neither AVX-512 nor VNNI, without "
            "which 8-bit files are slower than float ones and lose accuracy to saturated sums. Expected a CPU with "
            "one of them. Leave int8=true away, or export on the machine that will run the file."
        )


def has_vnni() -> bool:
    """Whether this CPU has the instructions that multiply and add 8-bit numbers."""
    return _has(*_VNNI)


def find_quantizable(graph: Any) -> list[str]:
    """The names of the nodes that compute feature maps, up to the last layers of the network, which stay float.

    Feature maps are what convolutions and linear layers give, and what elementwise functions and pooling make of them
    alone. What follows the last layers (softmax, decoding of boxes, suppression) is none of it. The last layers stay
    float, as 256 values are too few to tell classes and coordinates apart (H. Wu et al. 2020, "Integer Quantization for
    Deep Learning Inference", section 5.2 on partial quantisation).

    Args:
        graph: An `onnx.GraphProto` whose nodes have names.
    """
    constants = {value.name for value in graph.initializer}
    layers = [node for node in graph.node if _is_layer(node, constants)]
    last = _last_layers(graph, {node.name for node in layers})
    features: set[str] = set()
    found = []
    for node in graph.node:
        inputs = [name for name in node.input if name and name not in constants]
        if node.name in last:
            continue
        if _is_layer(node, constants):
            follows = True
        elif node.op_type in _MERGES:
            follows = len(inputs) == len(node.input) and features.issuperset(inputs)
        else:
            follows = node.op_type in _FOLLOWERS and inputs[:1] != [] and inputs[0] in features
        if follows:
            features.update(node.output)
            found.append(node.name)
    return found


def simplify(source: Path, target: Path) -> None:
    """Fold constants and batch norms, infer shapes and name all nodes, before a file is quantised.

    Args:
        source: The ONNX file.
        target: The file that is written.
    """
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with _explained():
        quant_pre_process(source, target, skip_symbolic_shape=True)  # which fails at Resize, and torch wrote shapes
    model = onnx.load(target)
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"
    onnx.save(model, target)


def quantize(
    source: Path, target: Path, images: Iterable[Mapping[str, Any]], *, scheme: str, metadata: Mapping[str, str]
) -> int:
    """Write a file with 8-bit weights and feature maps (QDQ: float nodes between conversions, which are fused).

    Args:
        source: An ONNX file after `simplify`.
        target: The file that is written.
        images: Inputs as numpy arrays by name, whose feature maps give the ranges of values.
        scheme: One of `SCHEMES`.
        metadata: Of the file.

    Returns:
        The number of layers that were quantised; nothing is written if there are none.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    graph = onnx.load(source).graph
    types = {node.name: node.op_type for node in graph.node}
    names = find_quantizable(graph)
    num_layers = sum(types[name] in _LAYERS for name in names)
    if num_layers == 0:
        return 0
    with _explained():
        quantize_static(
            source, target, _Reader(images), quant_format=QuantFormat.QDQ, nodes_to_quantize=names,
            op_types_to_quantize=sorted({types[name] for name in names}), per_channel=scheme == "per_channel",
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax,
            reduce_range=not has_vnni(),  # without VNNI sums of products saturate at 16 bits
        )  # fmt: skip
    model = onnx.load(target)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.save(model, target)
    return num_layers


class _Reader:
    """Images one by one, as a `CalibrationDataReader`."""

    def __init__(self, images: Iterable[Mapping[str, Any]]) -> None:
        self._images = iter(images)

    def get_next(self) -> Mapping[str, Any] | None:
        """The next image; None after the last."""
        return next(self._images, None)


def _has(*names: str) -> bool:
    if not hasattr(torch.cpu, "get_capabilities"):  # of an older torch, which knows families alone
        return "avx512_f" in names and torch.backends.cpu.get_cpu_capability() == "AVX512"
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in names)


def _is_layer(node: Any, constants: set[str]) -> bool:
    """Whether a node multiplies features with trained weights."""
    position = _LAYERS.get(node.op_type)
    return position is not None and len(node.input) > position and node.input[position] in constants


def _last_layers(graph: Any, layers: set[str]) -> set[str]:
    """The layers from which an output of the file is computed without another one between."""
    producers = {name: node for node in graph.node for name in node.output}
    waiting = [value.name for value in graph.output]
    seen, last = set(waiting), set()
    while waiting:
        node = producers.get(waiting.pop())
        if node is None:
            continue
        if node.name in layers:
            last.add(node.name)
            continue
        new = set(node.input) - seen
        seen |= new
        waiting += new
    return last


@contextmanager
def _explained() -> Iterator[None]:
    """A context without warnings, in which what cannot be quantised is an error that says so."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())[:400]
        raise UserError(
            f"int8=true: onnxruntime cannot quantise this network: {type(error).__name__}: {reason}. Expected "
            "convolutions and linear layers in forms that it knows. Leave int8=true away"
        ) from error
    finally:
        logging.disable(disabled)

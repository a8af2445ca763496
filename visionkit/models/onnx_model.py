"""An exported ONNX file in the place of a `VisionModel`: the same calls, computed by onnxruntime."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from visionkit.errors import UserError
from visionkit.files import similar_path
from visionkit.losses.sums import LossSums
from visionkit.models.export_info import ExportInfo
from visionkit.schema import quote

__all__ = ["CONVERGED", "METADATA_KEY", "PREDICTIONS", "OnnxModel", "check_onnxruntime", "open_session"]

METADATA_KEY = "visionkit"
"""The entry of a file's metadata that says what the file is, as JSON."""

CONVERGED = "converged"
"""The output that says of which images the suppression of a detector was exact."""

PREDICTIONS = ("probabilities", "labels", "scores", "boxes", "mask", "mask_logits", CONVERGED)
"""The outputs of a file that are predictions; the others are raw outputs of the head."""

_MAX_REASON = 300
_ROUNDING = 1e-3


class _Output(NamedTuple):
    """What an output must be: the name of its type in onnxruntime, and its axes.

    Axes are B images, C classes, H and W of the images, N objects and S, a side of a small mask.
    """

    kind: str
    axes: str


class _Input(NamedTuple):
    """What an input is: the name of its type in onnxruntime, and its sides, numbers or names."""

    kind: str
    shape: tuple[int | str | None, ...]


_OBJECTS = {"boxes": _Output("float", "BN4"), "scores": _Output("float", "BN"), "labels": _Output("int64", "BN")}
_OUTPUTS: Mapping[str, Mapping[str, _Output]] = {
    "classify": {"probabilities": _Output("float", "BC"), "labels": _Output("int64", "B")},
    "multilabel": {"probabilities": _Output("float", "BC")},
    "segment": {"logits": _Output("float", "BCHW"), "mask": _Output("uint8", "BHW")},
    "detect": _OBJECTS,
    "instance": {**_OBJECTS, "mask_logits": _Output("float", "BNSS")},
}
"""The outputs that predictions of a task are made of."""


def check_onnxruntime() -> None:
    """Check that onnxruntime is there.

    Raises:
        UserError: If it is not.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise UserError(
            'an ONNX file is run by onnxruntime, which is not installed. Try: pip install "visionkit[onnx]"'
        )


class OnnxModel(nn.Module):
    """A file of ``export to=onnx`` on the CPU, called as a `visionkit.models.VisionModel` is for evaluation.

    Args:
        path: The file.
        num_threads: Of one operator; None for those that onnxruntime takes.

    Attributes:
        export_info: What the file says of itself: task, classes, channels, range of values and resizing.
        info: The same as it is written in ``classes.json``.
        max_detections: Of detectors, the most boxes of an image.
        session: The `onnxruntime.InferenceSession`.

    Raises:
        UserError: If onnxruntime is missing, or the file is none of ONNX, or none of visionkit, or what it takes and
            gives is not what it says of itself.
    """

    def __init__(self, path: Path, *, num_threads: int | None = None) -> None:
        super().__init__()
        self.path = path
        self.session = open_session(path, num_threads=num_threads)
        text, self._inputs, self._kinds = _read_signature(self.session, path)
        self.input_names, self.output_names = list(self._inputs), list(self._kinds)
        if text is None:
            raise UserError(
                f"'{path}' is an ONNX file, but none of visionkit: its metadata lack '{METADATA_KEY}', with the task, "
                f"the classes and how images are resized. It gives: {_list(self._kinds)}. Expected the model.onnx of a "
                "run. Try: python -m visionkit export run=FOLDER to=onnx"
            )
        self.export_info = ExportInfo.read(text, file=str(path))
        self.info: Mapping[str, Any] = json.loads(text)
        self.max_detections = self.export_info.max_detections
        self._outputs = _OUTPUTS[self.export_info.task] if self.export_info.decode else {}
        problem = self._input_problem() or self._output_problem()
        if problem:
            raise UserError(
                f"'{path}' {problem}, which is not what export writes. Export it again: python -m visionkit export "
                "run=FOLDER to=onnx"
            )

    def forward(self, images: Tensor, image_sizes: Tensor | None = None) -> dict[str, Tensor]:
        """All outputs of a batch: raw ones, and predictions if the file gives them.

        Args:
            images: (B, C, H, W) uint8, or float32 in 0..255; of a file that takes uint8 they are rounded.
            image_sizes: (B, 2) int64 height and width without padding; None where no image is padded.

        Raises:
            UserError: If the file fails on them, or gives what does not fit its classes.
        """
        if self.export_info.value_range is None and images.is_floating_point():
            images = images.round().clamp(0, 255).to(torch.uint8)
        self._check_sides(images)
        inputs = {"images": images.cpu().numpy()}
        if "image_sizes" in self.input_names:
            if image_sizes is None:
                image_sizes = torch.tensor(images.shape[2:]).expand(len(images), 2)
            inputs["image_sizes"] = image_sizes.cpu().numpy()
        try:
            values = self.session.run(self.output_names, inputs)
        except Exception as error:  # its own classes, one per kind of mistake
            shape = " x ".join(map(str, images.shape))
            raise UserError(f"'{self.path}' fails on a batch of {shape}: {_reason(error)}") from None
        outputs = {name: torch.from_numpy(value) for name, value in zip(self.output_names, values, strict=True)}
        self._check(outputs, images)
        return outputs

    def predict(self, outputs: Mapping[str, Tensor], image_sizes: Tensor | None = None) -> dict[str, Tensor]:
        """The predictions among the outputs; they have been made with the sizes that `forward` was given.

        Raises:
            UserError: If the file gives raw outputs alone.
        """
        found = {name: outputs[name] for name in PREDICTIONS if name in outputs}
        if not found:
            raise UserError(
                "the ONNX file gives raw outputs alone, as it was exported with decode=false. Export it again without "
                "that word: python -m visionkit export run=FOLDER to=onnx"
            )
        return found

    def loss_sums(self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, LossSums]:
        """No losses: a file has what predicts, not what trains."""
        return {}

    def _input_problem(self) -> str:
        """What of the inputs is not what the file says of itself, or takes less than any number of images."""
        info = self.export_info
        expected = ["images", *(["image_sizes"] if info.takes_sizes else [])]
        if sorted(self.input_names) != sorted(expected):
            return f"takes {_list(self.input_names)}, and a file of task={info.task} takes {_list(expected)}"
        images = self._inputs["images"]
        kind = "uint8" if info.value_range is None else "float"
        if images.kind != f"tensor({kind})":
            return f"takes images of {images.kind}, and by its metadata they are tensor({kind})"
        sides = (info.in_channels, *info.resize.image_size)
        if len(images.shape) != 4 or any(
            isinstance(found, int) and found != side for found, side in zip(images.shape[1:], sides, strict=True)
        ):
            return f"takes images of shape {_shape(images.shape)}, and by its metadata they are {_shape(('B', *sides))}"
        if any(isinstance(value.shape[0], int) for value in self._inputs.values() if value.shape):
            return f"takes {images.shape[0]} images at a time, and no other number"
        return ""

    def _output_problem(self) -> str:
        """What of the outputs is not what predictions of the task are made of."""
        for name, output in self._outputs.items():
            found = self._kinds.get(name)
            if found is None:
                return f"gives {_list(self._kinds)}, and a file of task={self.export_info.task} gives '{name}'"
            if found != f"tensor({output.kind})":
                return f"gives {name} as {found}, and it is tensor({output.kind})"
        return ""

    def _check_sides(self, images: Tensor) -> None:
        """Check that a file of any size is equal to its model at this size."""
        height, width, multiple = images.shape[2], images.shape[3], self.export_info.size_multiple
        if (height % multiple or width % multiple) and (height, width) != self.export_info.resize.image_size:
            raise UserError(
                f"'{self.path}' takes images whose sides are multiples of {multiple}, and these have {height}x{width} "
                "pixels. Resize or pad them."
            )

    def _check(self, outputs: Mapping[str, Tensor], images: Tensor) -> None:
        """Check outputs against the images, the classes and each other: a wrong file would be believed otherwise."""
        num_classes = len(self.export_info.class_names)
        sides = {"C": num_classes, "B": len(images), "H": images.shape[2], "W": images.shape[3], "4": 4}
        converged = outputs.get(CONVERGED)
        if converged is not None and (converged.dtype != torch.bool or converged.shape != (len(images),)):
            raise UserError(
                f"'{self.path}' gives {CONVERGED} of shape {_shape(converged.shape)} and type {converged.dtype}. "
                f"Expected a truth value for each of {len(images)} images."
            )
        for name, output in self._outputs.items():
            value = outputs[name]
            fits = len(output.axes) == value.ndim and all(
                sides.setdefault(axis, side) == side for axis, side in zip(output.axes, value.shape, strict=True)
            )
            if not fits:
                expected = [sides.get(axis, axis) for axis in output.axes]
                raise UserError(
                    f"'{self.path}' gives {name} of shape {_shape(value.shape)} for images of shape "
                    f"{_shape(images.shape)} and {num_classes} classes. Expected {_shape(expected)}."
                )
            if value.is_floating_point() and not bool(value.isfinite().all()):
                raise UserError(
                    f"'{self.path}' gives {name} that are not finite numbers: the file is damaged. Export it again: "
                    "python -m visionkit export run=FOLDER to=onnx"
                )
            if name == "probabilities" and bool(((value < -_ROUNDING) | (value > 1 + _ROUNDING)).any()):
                raise UserError(f"'{self.path}' gives probabilities below 0 or above 1. Expected a file of export.")
            if name == "labels" and value.numel():
                least, most = (int(number) for number in value.aminmax())
                if most >= num_classes or least < (-1 if len(output.axes) == 2 else 0):
                    raise UserError(f"'{self.path}' gives labels {least} to {most}, and has {num_classes} classes.")


def open_session(path: Path, *, num_threads: int | None = None) -> Any:
    """An `onnxruntime.InferenceSession` of a file on the CPU.

    Raises:
        UserError: If onnxruntime is missing, or the file is none that it reads.
    """
    check_onnxruntime()
    import onnxruntime

    if not path.is_file():
        problem = "is a folder, and no ONNX file" if path.is_dir() else "is not there"
        raise UserError(f"'{path}' {problem}.{similar_path(path)} Expected a file that export has written.")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are exceptions, and its warnings are about its own optimiser
    if num_threads is not None:
        options.intra_op_num_threads = num_threads
    providers = ["CPUExecutionProvider"]
    try:  # without its second try after a failure, which it prints
        return onnxruntime.InferenceSession(os.fspath(path), options, providers=providers, enable_fallback=0)
    except Exception as error:  # its own classes, one per kind of mistake
        reason = "it is empty" if not path.stat().st_size else _reason(error)
        advice = " Its weights lie in another file: copy that one beside it." if "external" in reason.lower() else ""
        raise UserError(f"'{path}' is no ONNX file that onnxruntime reads: {reason}.{advice}") from None


def _read_signature(session: Any, path: Path) -> tuple[str | None, dict[str, _Input], dict[str, str]]:
    """What a file says of itself, its inputs by name, and the type of each output by name.

    Raises:
        UserError: If one of these is no text.
    """
    try:
        text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        inputs = {value.name: _Input(value.type, tuple(value.shape)) for value in session.get_inputs()}
        return text, inputs, {value.name: value.type for value in session.get_outputs()}
    except UnicodeDecodeError:
        raise UserError(f"'{path}' has metadata or names that are no text. Expected a file that is whole.") from None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return text if len(text) <= _MAX_REASON else f"{text[:_MAX_REASON]}..."


def _list(names: Any) -> str:
    return ", ".join(quote(str(name)) for name in list(names)[:10]) or "nothing"


def _shape(sides: Any) -> str:
    return f"({', '.join(str(side)[:20] for side in sides)})"

"""An exported ONNX file in the place of a `VisionModel`: the same calls, computed by onnxruntime."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from visionkit.errors import UserError
from visionkit.losses.sums import LossSums

__all__ = ["METADATA_KEY", "PREDICTIONS", "OnnxModel", "check_onnxruntime", "open_session"]

METADATA_KEY = "visionkit"
"""The entry of a file's metadata that says what the file is, as JSON."""

PREDICTIONS = ("probabilities", "labels", "scores", "boxes", "mask", "mask_logits")
"""The outputs of a file that are predictions; the others are raw outputs of the head."""


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
        info: What the file says of itself: task, classes, channels, range of values and resizing.
        session: The `onnxruntime.InferenceSession`.

    Raises:
        UserError: If onnxruntime is missing, or the file is none of ONNX, or none of visionkit.
    """

    def __init__(self, path: Path, *, num_threads: int | None = None) -> None:
        super().__init__()
        self.session = open_session(path, num_threads=num_threads)
        text = self.session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text is None:
            outputs = ", ".join(output.name for output in self.session.get_outputs())
            raise UserError(
                f"'{path}' is an ONNX file, but none of visionkit: its metadata lack '{METADATA_KEY}', with the task, "
                f"the classes and how images are resized. It gives: {outputs}. Expected the model.onnx of a run. Try: "
                "python -m visionkit export run=FOLDER to=onnx"
            )
        self.info: Mapping[str, Any] = json.loads(text)
        self.input_names = [value.name for value in self.session.get_inputs()]
        self.output_names = [value.name for value in self.session.get_outputs()]

    def forward(self, images: Tensor, image_sizes: Tensor | None = None) -> dict[str, Tensor]:
        """All outputs of a batch: raw ones, and predictions if the file gives them.

        Args:
            images: (B, C, H, W) uint8, or float32 in 0..255, as the file takes them.
            image_sizes: (B, 2) int64 height and width without padding; None where no image is padded.
        """
        inputs = {"images": images.cpu().numpy()}
        if "image_sizes" in self.input_names:
            if image_sizes is None:
                image_sizes = torch.tensor(images.shape[2:]).expand(len(images), 2)
            inputs["image_sizes"] = image_sizes.cpu().numpy()
        values = self.session.run(self.output_names, inputs)
        return {name: torch.from_numpy(value) for name, value in zip(self.output_names, values, strict=True)}

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


def open_session(path: Path, *, num_threads: int | None = None) -> Any:
    """An `onnxruntime.InferenceSession` of a file on the CPU.

    Raises:
        UserError: If onnxruntime is missing, or the file is none that it reads.
    """
    check_onnxruntime()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are exceptions, and its warnings are about its own optimiser
    if num_threads is not None:
        options.intra_op_num_threads = num_threads
    try:
        return onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes, one per kind of mistake
        reason = " ".join(str(error).split())
        raise UserError(f"'{path}' is no ONNX file that onnxruntime reads: {reason}") from None

"""A run's weights as a safetensors file of their own, which `visionkit.load` and other programs read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visionkit.errors import UserError
from visionkit.export.files import Runner
from visionkit.files import write_atomic
from visionkit.runs.checkpoint import export_best, load_run_model
from visionkit.runs.checkpoint_file import read_checkpoint
from visionkit.runs.folder import RunFolder

__all__ = ["run_weights", "write_weights"]


def write_weights(source: RunFolder, path: Path) -> None:
    """Write the weights of a run's best epoch, with the ``config.yaml`` and the ``data.json`` that build its model.

    Args:
        source: The run.
        path: The file of the weights; the others are written beside it.

    Raises:
        UserError: If the path lies in the run itself, whose own files these are.
    """
    if path.parent.resolve() == source.path.resolve():
        raise UserError(
            f"out: '{path.parent}' is the run itself. Expected another folder. Try: out={source.path}/exports"
        )
    for file in (source.config_file, source.data_file):
        write_atomic(path.parent / file.name, file.read_bytes())
    if source.weights_file.is_file():
        write_atomic(path, source.weights_file.read_bytes(), flush=True)
    else:  # of a run that was killed
        export_best(_folder_of(path), read_checkpoint(source.best_checkpoint))


def run_weights(path: Path) -> Runner:
    """What runs the model of a file of `write_weights`."""
    model = load_run_model(_folder_of(path))

    def run(inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        images, sizes = inputs["images"], inputs.get("image_sizes")
        with torch.inference_mode():
            raw = model(images, sizes)
            outputs = {**model.exported_outputs(raw), **model.predict(raw, sizes)}
            return {name: value.numpy() for name, value in outputs.items()}

    return run


def _folder_of(weights: Path) -> RunFolder:
    folder = RunFolder(weights.parent)
    folder.weights_name = weights.name
    return folder

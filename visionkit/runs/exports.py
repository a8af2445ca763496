"""The exported files of a run, and whether they are still of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.data_file import read_data_file
from visionkit.errors import UserError, did_you_mean
from visionkit.files import expand_user
from visionkit.runs.paths import RunPaths
from visionkit.schema import describe

if TYPE_CHECKING:
    from visionkit.models.export_info import ExportInfo

__all__ = [
    "EAGER", "ENGINES", "FILE_ENGINES", "check_export", "check_hardware", "export_file", "export_path",
    "exports_folder", "find_export", "weights_digest",
]  # fmt: skip

_NAME, _REJECTED = "model.onnx", ".rejected"
EAGER = "eager"
_REFUSED = {
    "onnx": "it differs from the run's model", "onnx-int8": "it loses too much of the metric, or is no faster",
}  # fmt: skip
_WORDS = {"onnx": "to=onnx", "onnx-int8": "to=onnx int8=true"}
FILE_ENGINES = tuple(_WORDS)
"""Onnxruntime, which computes a run's model from an exported file."""
ENGINES = (EAGER, *FILE_ENGINES)
"""What computes a run's model: PyTorch, or onnxruntime from an exported file."""

_HARDWARE = {
    "hardware": ("cpu", "auto"), "hardware.accelerator": ("cpu", "auto"), "hardware.devices": ("1", "auto"),
    "hardware.num_nodes": ("1",), "hardware.precision": ("32",), "hardware.compile": ("false",),
}  # fmt: skip
"""What may be typed with an exported file, of the keys that say where or how a model is computed."""


def exports_folder(run: RunPaths, name: str) -> Path:
    """The folder of an export of a run, of the name that the engine or the options of the export give it."""
    return run.path / "exports" / name


def export_path(run: RunPaths, engine: str) -> Path:
    """The file that one of `FILE_ENGINES` reads, whether it is there or not."""
    return exports_folder(run, engine) / _NAME


def check_hardware(engine: str, typed: Iterable[tuple[str, str]]) -> None:
    """Check that the hardware that was typed is one on which an engine computes.

    Args:
        engine: One of `ENGINES`.
        typed: Keys, such as ``hardware.devices``, and their values as text; other keys are ignored.

    Raises:
        UserError: If it is an exported file, and not on the CPU in one process and full precision.
    """
    for key, text in typed if engine in FILE_ENGINES else ():
        if text not in _HARDWARE.get(key, (text,)):
            raise UserError(
                f"engine={engine} is computed by onnxruntime on the CPU, in one process and in the precision of the "
                f"file, and {key}={text} says otherwise. Leave it out, or: engine=eager {key}={text}"
            )


def export_file(run: RunPaths, engine: Any) -> Path | None:
    """The exported file of a run that an engine reads; None for the run's own weights.

    Args:
        run: The run.
        engine: One of `ENGINES`.

    Raises:
        UserError: If it is none of them, or there is no such file.
    """
    if engine == EAGER:
        return None
    if engine not in _WORDS:
        raise UserError(
            f"engine: found {describe(engine)}.{did_you_mean(str(engine), ENGINES)} Expected one of: "
            f"{', '.join(ENGINES)}."
        )
    file = export_path(run, engine)
    if file.is_file():
        return file
    command = f"python -m visionkit export run={run.path} {_WORDS[engine]}"
    if file.with_name(f"{file.name}{_REJECTED}").is_file():
        raise UserError(
            f"engine={engine}: '{file}{_REJECTED}' was refused when it was exported: {_REFUSED[engine]}, as the "
            f"parity.json beside it says. Leave {engine} out; or after a change of the run or the machine: {command}"
        )
    raise UserError(f"engine={engine}: there is no '{file}'. Export it first: {command}")


def check_export(info: ExportInfo, run: RunPaths, *, task: str, file: Path) -> None:
    """Check that an exported file is of a run, and has its present weights.

    Args:
        info: What the file says of itself.
        run: The run.
        task: That of the run.
        file: The file, for messages.

    Raises:
        UserError: If task, classes, channels or size of images differ from the run's, the weights are others, or the
            file gives no predictions.
    """
    again = f"Export it again: python -m visionkit export run={run.path} {_WORDS.get(file.parent.name, _WORDS['onnx'])}"
    stored, keys = read_data_file(run.path), ("class_names", "in_channels", "image_size", "value_range")
    pairs = {"task": (info.task, task), **{key: (info.data[key], stored.get(key)) for key in keys}}
    for key, (found, expected) in pairs.items():
        if found != expected:
            raise UserError(
                f"'{file}' is not of the run '{run.path}': {key} is {describe(found)} in the file, and "
                f"{describe(expected)} in the run. {again}"
            )
    if info.weights is not None and info.weights != weights_digest(run):
        raise UserError(
            f"'{file}' has other weights than the run '{run.path}' has now: it was exported before the run was trained "
            f"further, or is of another run. {again}"
        )
    if not info.decode:
        raise UserError(
            f"'{file}' gives the raw outputs of the head alone, as it was exported with decode=false, and metrics are "
            f"of predictions. {again}"
        )


def find_export(run: Any) -> Path | None:
    """The ONNX file that a person means; None if a run is meant.

    Args:
        run: A file that ends in ``.onnx``, a folder of an export, or anything else.

    Raises:
        UserError: If it is a file that was rejected, or one of `torch.export`.
    """
    if not isinstance(run, str | os.PathLike) or run == "latest":
        return None
    path = expand_user(run)
    if os.path.isdir(path):
        if (path / "config.yaml").exists():
            return None
        names = (_NAME, _NAME + _REJECTED, "model.pt2")
        path = next((path / name for name in names if (path / name).is_file()), path)
    if path.name.lower().endswith(f".onnx{_REJECTED}"):
        raise UserError(
            f"'{path}' was refused when it was exported, for the reason in the parity.json beside it. Expected a file "
            "that was not. Load the run itself, or export it again after a change."
        )
    if path.suffix.lower() == ".pt2":
        raise UserError(
            f"'{path}' is a file of torch.export, which is for programs of your own: torch.export.load({str(path)!r}). "
            f"Expected an ONNX file. Try: python -m visionkit export run=FOLDER to=onnx, or load the run itself"
        )
    return path if path.suffix.lower() == ".onnx" else None


def weights_digest(run: RunPaths) -> str | None:
    """The SHA-256 of the weights that a run is loaded from, in hexadecimal digits; None if it has none."""
    file = run.weights_file if run.weights_file.is_file() else run.best_checkpoint
    if not file.is_file():
        return None
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

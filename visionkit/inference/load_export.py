"""Makes the `Predictor` of an exported file, which needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.errors import UserError
from visionkit.inference.options import PredictOptions
from visionkit.inference.predictor import Predictor
from visionkit.registry import load
from visionkit.schema import describe
from visionkit.tasks.info import TASKS

if TYPE_CHECKING:
    from visionkit.data.findings import Finding
    from visionkit.models.onnx_model import OnnxModel

__all__ = ["load_export"]

_OF_RUN = "or load the run itself"


def load_export(
    file: Path,
    *,
    options: PredictOptions,
    head: Any = None,
    plugins: Sequence[str] = (),
    device: Any = None,
    precision: Any = None,
    on_note: Callable[[Finding], None] | None = None,
) -> Predictor:
    """The model of an exported file, with the way of reading and resizing images that its metadata say.

    Args:
        file: The result of `visionkit.runs.exports.find_export`.
        options: The user's options.
        head: Nothing: the file holds it, as ``plugins``.
        plugins: Nothing.
        device: None, ``auto`` or ``cpu``.
        precision: None or ``32``.
        on_note: Called with the first finding of each kind about the images.

    Raises:
        UserError: If the file is none that export has written, or an option is not one of a file.
    """
    _check_arguments(head=head, plugins=plugins, device=device, precision=precision)
    from visionkit.data.images import ImageReader
    from visionkit.data.transforms import InputTransform
    from visionkit.inference.reader import adapt_reader
    from visionkit.models.onnx_model import OnnxModel

    model = OnnxModel(file)
    info = model.export_info
    _check_file(model, options)
    inference = load(TASKS[info.task].inference)(
        model, InputTransform(**asdict(info.resize)), info.data, options=options
    )
    reader = ImageReader(info.in_channels, inference.value_range, info.max_pixels)
    return Predictor(
        inference,
        adapt_reader(reader, inference),
        task=info.task,
        batch_size=info.batch_size,
        path=file,
        on_note=on_note,
    )


def _check_arguments(*, head: Any, plugins: Any, device: Any, precision: Any) -> None:
    if head is not None or plugins:
        name = "plugins" if head is None else "head"
        raise UserError(f"{name}: an exported file holds its whole network, and takes no {name}. Leave it out.")
    if device is not None and str(device) not in ("auto", "cpu"):
        raise UserError(
            f"device: found {describe(str(device))}, and an ONNX file is computed by onnxruntime on the CPU. Leave it "
            f"out, {_OF_RUN}: visionkit.load('FOLDER', device={str(device)!r})"
        )
    if precision is not None and str(precision) != "32":
        raise UserError(
            f"precision: found {describe(str(precision))}, and an exported file has the precision that it was written "
            f"with. Leave it out, {_OF_RUN}: visionkit.load('FOLDER', precision={str(precision)!r})"
        )


def _check_file(model: OnnxModel, options: PredictOptions) -> None:
    if not model.export_info.decode:
        raise UserError(
            f"'{model.path}' gives the raw outputs of the head alone, as it was exported with decode=false. Expected "
            "predictions. Export it again without that word: python -m visionkit export run=FOLDER to=onnx"
        )
    most = model.max_detections
    if most is not None and options.max_detections is not None and options.max_detections > most:
        raise UserError(
            f"max_detections: found {options.max_detections}, and the file gives at most {most} objects of an image. "
            f"Expected at most {most}, {_OF_RUN}: visionkit.load('FOLDER', max_detections={options.max_detections})"
        )

"""The verb ``predict``: predictions of a run's best checkpoint for images of the user's."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.control import Control

from visionkit.console import Printer, print_json
from visionkit.data.findings import check_findings
from visionkit.errors import ExitCode, UserError
from visionkit.inference.image_files import ImageFiles
from visionkit.inference.options import PredictOptions
from visionkit.registry import load
from visionkit.runs.config import RunConfig
from visionkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from visionkit.data.images import ImageReader
    from visionkit.inference.base import Inference

__all__ = ["predict"]


def predict(plain: Mapping[str, Any], folder: RunFolder, *, source: str, options: Mapping[str, Any]) -> int:
    """Predict for images and write the results: a table of classes, annotated images with a COCO file, or masks.

    Images get the transform of the run's validation and test splits. Files that cannot be read are skipped, and
    reported.

    Args:
        plain: The configuration of the run; ``run_dir`` is the folder for the results, None one inside the run folder.
        folder: The folder of the run.
        source: An image, a folder, or a glob pattern.
        options: The values of `PredictOptions` that were typed.

    Returns:
        0.

    Raises:
        UserError: If no image can be read, or with ``strict=true`` if one cannot or a file is left out; or if the task
            does not have an option.
    """
    files, predict_options = ImageFiles(source), PredictOptions.read(options)
    config = RunConfig.from_plain(plain, check_data=False)
    check_findings(files.findings, place=f"source '{source}'", strict=config.strict)

    from visionkit.inference.predict_files import predict_files
    from visionkit.runs.checkpoint import read_data_info

    data = read_data_info(folder)
    writer_class = load(config.task.writer)
    target = _output_folder(config, folder, writer_class.files)
    is_new = not target.exists()
    inference = _inference(config, folder, data, predict_options)
    data = {**data, "image_ids": config.source.image_ids(files.paths)}
    writer = writer_class(target, data, files.paths, min_score=predict_options.min_score)
    printer = Printer(to_stderr=config.format == "json")

    def show(done: int) -> None:
        if printer.console.is_terminal:
            printer.console.print(f"{done:,} of {len(files):,} images", Control.move_to_column(0), end="")

    reader, size = _image_reader(config, data, inference), config.recipe.batch_size
    try:
        unreadable = predict_files(
            inference, writer, files, reader=reader, batch_size=size, strict=config.strict, on_progress=show
        )
    except UserError:
        if is_new:
            shutil.rmtree(target, ignore_errors=True)
        raise
    writer.write()
    printer.print(
        *writer.summary(),
        *_left_out(files, unreadable),
        *([f"{writer.num_reduced:,} large images are drawn at a fraction of their size"] if writer.num_reduced else []),
        f"Written: {' and '.join(str(target / name) for name in writer.files)}",
    )
    if config.format == "json":
        notes = [finding.note for finding in files.findings]
        document = {"folder": str(target), "predictions": writer.rows, "unreadable": unreadable, "left_out": notes}
        print_json(document)
    return ExitCode.DONE


def _left_out(files: ImageFiles, unreadable: Mapping[str, str]) -> list[str]:
    """Lines on files that are no images, and on images that cannot be read."""
    count = f"{len(unreadable):,} of {len(files):,} files could not be read and are left out:"
    return [
        *([count] if unreadable else []),
        *(f"  {reason}" for reason in unreadable.values()),
        *(f"{finding.note}. {finding.remedy_for(())}" for finding in files.findings),
    ]


def _inference(config: RunConfig, folder: RunFolder, data: Mapping[str, Any], options: PredictOptions) -> Inference:
    """The task's inference with the run's best model, on its device."""
    from visionkit.distributed.devices import choose_accelerator, torch_device
    from visionkit.models import fold_norms
    from visionkit.models.prepare import prepare_model
    from visionkit.runs.checkpoint import load_run_model

    device = torch_device(choose_accelerator(config.hardware))
    model = prepare_model(fold_norms(load_run_model(folder)), config.hardware).to(device)
    transform, precision = config.source.input_transform(), config.hardware.precision
    inference: Inference = load(config.task.inference)(model, transform, data, precision=precision, options=options)
    return inference


def _image_reader(config: RunConfig, data: Mapping[str, Any], inference: Inference) -> ImageReader:
    """How the images are read: in the channels and the range of values of those that the run was trained on."""
    from visionkit.data.image_error import ImageAdvice

    value_range = None if data.get("value_range") is None else (data["value_range"][0], data["value_range"][1])
    reader = config.source.image_reader(data["in_channels"], value_range=value_range)
    by_windows = "Look at it by windows: window=auto. " if inference.has_windows else ""
    advice = ImageAdvice(
        limit="max_pixels={limit}",
        too_large=f"{by_windows}Make it smaller, or read it whole: max_pixels={{pixels}}",
        channels="the model was trained on images of {channels}",
        other_bands="Expected images like those of the training. Convert it, or train on images of {bands}.",
    )
    return replace(reader, max_pixels=inference.options.max_pixels or reader.max_pixels, advice=advice)


def _output_folder(config: RunConfig, folder: RunFolder, files: Sequence[str]) -> Path:
    """The folder for the results, which must not contain any yet."""
    if config.run_dir is None:
        return folder.path / "predictions" / time.strftime("%Y-%m-%d_%H-%M-%S")
    target = Path(config.run_dir).expanduser()
    if any((target / name).exists() for name in files):
        raise UserError(
            f"run_dir: '{target}' already holds predictions. Expected another folder, such as run_dir={target}_2."
        )
    return target

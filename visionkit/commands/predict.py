"""The verb ``predict``: predictions of a run's best checkpoint for images of the user's."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.control import Control

from visionkit.console import Printer, loading, print_json
from visionkit.data.findings import check_findings
from visionkit.errors import ExitCode, UserError
from visionkit.files import check_writable
from visionkit.inference.image_files import ImageFiles
from visionkit.inference.options import PredictOptions
from visionkit.registry import load
from visionkit.runs.config import RunConfig
from visionkit.runs.folder import RunFolder

if TYPE_CHECKING:
    from visionkit.report.writers.base import ResultWriter

__all__ = ["predict"]

_MAX_NAMED = 3
"""So many images that cannot be read are named."""


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

    target = _output_folder(config, folder)
    is_new = not target.exists()
    with loading():
        from visionkit.inference.load import load_predictor
        from visionkit.inference.predict_files import predict_files

        writer_class = load(config.task.writer)
    _check_new(target, writer_class.files)
    predictor = load_predictor(config, folder, options=predict_options)
    data = {**predictor.data, "image_ids": config.source.image_ids(files.paths)}
    writer = writer_class(target, data, files.paths, min_score=predict_options.min_score)
    printer = Printer(to_stderr=config.format == "json")

    def show(done: int) -> None:
        if printer.console.is_terminal:
            printer.console.print(f"{done:,} of {len(files):,} images", Control.move_to_column(0), end="")

    try:
        unreadable = predict_files(predictor, writer, files, strict=config.strict, on_progress=show)
    except UserError:
        if is_new:
            shutil.rmtree(target, ignore_errors=True)
        raise
    writer.write()
    _report(printer, files, writer, unreadable)
    if config.format == "json":
        notes = [finding.note for finding in files.findings]
        print_json({"folder": str(target), "predictions": writer.rows, "unreadable": unreadable, "left_out": notes})
    return ExitCode.DONE


def _report(printer: Printer, files: ImageFiles, writer: ResultWriter, unreadable: Mapping[str, str]) -> None:
    """Print what was predicted, what was left out, and where the results are."""
    printer.print(
        *writer.summary(),
        *_left_out(files, unreadable),
        *([f"{writer.num_reduced:,} large images are drawn at a fraction of their size"] if writer.num_reduced else []),
        f"Written: {' and '.join(str(writer.folder / name) for name in writer.files)}",
    )


def _left_out(files: ImageFiles, unreadable: Mapping[str, str]) -> list[str]:
    """Lines on files that are no images, and on images that cannot be read."""
    count = f"{len(unreadable):,} of {len(files):,} files could not be read and are left out:"
    return [
        *([count] if unreadable else []),
        *(f"  {reason}" for reason in [*unreadable.values()][:_MAX_NAMED]),
        *(
            [f"  and {len(unreadable) - _MAX_NAMED:,} more; format=json lists all"]
            if len(unreadable) > _MAX_NAMED
            else []
        ),
        *(f"{finding.note}. {finding.remedy_for(())}" for finding in files.findings),
    ]


def _output_folder(config: RunConfig, folder: RunFolder) -> Path:
    """The folder for the results, checked to be writable."""
    if config.run_dir is None:
        target = folder.path / "predictions" / time.strftime("%Y-%m-%d_%H-%M-%S")
    else:
        target = Path(config.run_dir).expanduser()
    check_writable(target, where="run_dir")
    return target


def _check_new(target: Path, files: Sequence[str]) -> None:
    """Check that the folder for the results contains none yet."""
    if any((target / name).exists() for name in files):
        raise UserError(
            f"run_dir: '{target}' already holds predictions. Expected another folder, such as run_dir={target}_2."
        )

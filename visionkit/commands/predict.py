"""The verb ``predict``: predictions of a run's best checkpoint for images of the user's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visionkit.console import Printer, loading, print_json
from visionkit.data.findings import check_findings
from visionkit.errors import ExitCode
from visionkit.inference.destination import OutputOptions, check_apart, check_new, choose_target
from visionkit.inference.image_files import ImageFiles
from visionkit.inference.options import PredictOptions
from visionkit.inference.progress import PredictProgress
from visionkit.registry import load
from visionkit.runs.config import RunConfig
from visionkit.runs.folder import RunFolder

__all__ = ["predict"]


def predict(plain: Mapping[str, Any], folder: RunFolder, *, source: str, options: Mapping[str, Any]) -> int:
    """Predict for images and write the results: tables, documents, annotated images, masks.

    Images get the transform of the run's validation and test splits. Files that cannot be read are skipped, and
    reported.

    Args:
        plain: The configuration of the run; ``run_dir`` is the folder for the results, None one inside the run folder.
        folder: The folder of the run.
        source: An image, a folder, or a glob pattern.
        options: The values of `PredictOptions` and `OutputOptions` that were typed.

    Returns:
        0.

    Raises:
        UserError: If no image can be read, or with ``strict=true`` if one cannot or a file is left out; or if the task
            does not have an option.
    """
    predict_options, output = PredictOptions.read(options), OutputOptions.read(options)
    files = ImageFiles(source)
    config = RunConfig.from_plain(plain, check_data=False)
    check_findings(files.findings, place=f"source '{source}'", strict=config.strict)
    target = choose_target(output.out, config.run_dir, folder.path, num_images=len(files))
    where = "run_dir" if output.out is None else "out"
    if output.out is not None or config.run_dir is not None:
        check_apart(target, source, where=where)
    with loading():
        from visionkit.inference.load import load_predictor
        from visionkit.inference.predict_files import predict_files

        predictor = load_predictor(config, folder, options=predict_options)
        writer_class = load(config.task.writer)
    data = {**predictor.data, "image_ids": config.source.image_ids(files.paths)}
    writer = writer_class(target, data, files.paths, min_score=predict_options.min_score, draw=output.draw)
    check_new(writer.files, where=where, target=target)

    printer = Printer(to_stderr=output.format != "text")
    progress = PredictProgress(printer, len(files))
    predicted = predict_files(
        predictor, writer, files, strict=config.strict, on_progress=progress.image, on_windows=progress.windows
    )
    progress.clear()
    printer.print(
        *writer.summary(),
        *writer.picture_lines(),
        *([f"{progress.num_windows:,} windows were looked at"] if progress.num_windows else []),
        *predicted.lines(len(files)),
        f"Written: {' and '.join(map(str, writer.files))}",
    )
    if output.format == "csv":
        print(writer.csv_text(), end="")
    if output.format == "json":
        notes = [finding.note for finding in predicted.findings]
        results = {"predictions": writer.rows, "unreadable": predicted.unreadable, "left_out": notes}
        print_json({"folder": str(target), **results})
    return ExitCode.DONE

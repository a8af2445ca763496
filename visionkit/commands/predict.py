"""The verb ``predict``: predictions of a run's best checkpoint for images of the user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from visionkit.tasks.info import TASKS

if TYPE_CHECKING:
    from visionkit.inference.predictor import Predictor

__all__ = ["predict", "predict_with_file"]


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

    def load_model() -> Predictor:
        from visionkit.inference.load import load_predictor

        return load_predictor(config, folder, options=predict_options)

    work = _Prediction(
        source, files, predict_options, output, strict=config.strict, run_dir=config.run_dir, home=folder.path
    )
    return work.run(load_model, image_ids=config.source.image_ids(files.paths))


def predict_with_file(
    file: Path, *, source: str, options: Mapping[str, Any], strict: bool = False, run_dir: str | None = None
) -> int:
    """As `predict`, with an exported file in the place of a run.

    Args:
        file: The file; without ``run_dir``, results are written into a folder beside it.
        source: As of `predict`.
        options: As of `predict`.
        strict: Whether an image that cannot be read or is left out is an error.
        run_dir: The folder for the results.

    Raises:
        UserError: As `predict`, or if the file is none that export has written.
    """
    predict_options, output = PredictOptions.read(options), OutputOptions.read(options)
    files, home = ImageFiles(source), file.absolute().parent

    def load_model() -> Predictor:
        from visionkit.inference.load_export import load_export

        return load_export(file, options=predict_options)

    work = _Prediction(source, files, predict_options, output, strict=strict, run_dir=run_dir, home=home)
    return work.run(load_model)


@dataclass(frozen=True)
class _Prediction:
    """Images and where the results of them go.

    Attributes:
        home: The folder in which results are written unless said otherwise.
    """

    source: str
    files: ImageFiles
    options: PredictOptions
    output: OutputOptions
    _: KW_ONLY
    strict: bool
    run_dir: str | None
    home: Path

    def run(self, load_model: Callable[[], Predictor], *, image_ids: Mapping[Path, int | str] | None = None) -> int:
        """Check where the results go, load the model, predict, write and print."""
        files, output, strict = self.files, self.output, self.strict
        check_findings(files.findings, place=f"source '{self.source}'", strict=strict)
        target = choose_target(output.out, self.run_dir, self.home, num_images=len(files))
        where = "run_dir" if output.out is None else "out"
        if output.out is not None or self.run_dir is not None:
            check_apart(target, self.source, where=where)
        with loading():
            from visionkit.inference.predict_files import predict_files

            predictor = load_model()
            writer_class = load(TASKS[predictor.task].writer)
        data = {**predictor.data, "image_ids": image_ids or {}}
        writer = writer_class(target, data, files.paths, min_score=self.options.min_score, draw=output.draw)
        check_new(writer.files, where=where, target=target)

        printer = Printer(to_stderr=output.format != "text")
        progress = PredictProgress(printer, len(files))
        predicted = predict_files(
            predictor, writer, files, strict=strict, on_progress=progress.image, on_windows=progress.windows
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

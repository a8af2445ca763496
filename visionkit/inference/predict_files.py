"""Prediction on image files into a result writer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from visionkit.data.findings import Finding, check_findings
from visionkit.errors import UserError
from visionkit.inference.image_files import ImageFiles
from visionkit.inference.predictor import OnWindows, Predictor
from visionkit.report.writers.base import ResultWriter

__all__ = ["PredictedFiles", "predict_files"]

_MAX_NAMED = 3
"""So many images that cannot be read are named to a person."""


@dataclass(frozen=True)
class PredictedFiles:
    """What became of the images.

    Attributes:
        unreadable: Path and reason of each unreadable file.
        findings: What was left out, and what is to be said of the images.
    """

    unreadable: Mapping[str, str]
    findings: list[Finding]

    def lines(self, num_files: int) -> list[str]:
        """What a person reads of it."""
        count = f"{len(self.unreadable):,} of {num_files:,} files could not be read and are left out:"
        num_more = len(self.unreadable) - _MAX_NAMED
        return [
            *([count] if self.unreadable else []),
            *(f"  {reason}" for reason in [*self.unreadable.values()][:_MAX_NAMED]),
            *([f"  and {num_more:,} more; format=json lists all"] if num_more > 0 else []),
            *(f"{finding.note}. {finding.remedy_for(())}" for finding in self.findings),
        ]


def predict_files(
    predictor: Predictor,
    writer: ResultWriter,
    files: ImageFiles,
    *,
    strict: bool = False,
    on_progress: Callable[[int], None] = lambda done: None,
    on_windows: OnWindows | None = None,
) -> PredictedFiles:
    """Predict on image files, and write the results; without any, nothing is left behind.

    Args:
        predictor: The model.
        writer: Writes the predictions.
        files: The images.
        strict: Whether an unreadable file, or a doubt about one, is an error.
        on_progress: Called with the number of files done so far.
        on_windows: As for `Predictor.stream`.

    Raises:
        UserError: If no image can be read, or with ``strict`` if any cannot or there is a doubt.
    """
    is_new = not writer.target.exists()
    try:
        unreadable = _predict_each(predictor, writer, files, strict, on_progress, on_windows)
        check_findings(predictor.findings, place="source", strict=strict)
    except UserError:
        if is_new and writer.file is None:
            shutil.rmtree(writer.target, ignore_errors=True)
        raise
    writer.write()
    return PredictedFiles(unreadable, [*files.findings, *predictor.findings])


def _predict_each(
    predictor: Predictor,
    writer: ResultWriter,
    files: ImageFiles,
    strict: bool,
    on_progress: Callable[[int], None],
    on_windows: OnWindows | None,
) -> dict[str, str]:
    """Pass each prediction to the writer; path and reason of each file that cannot be read."""
    unreadable: dict[str, str] = {}
    num_read = 0

    def note(name: str, error: UserError) -> None:
        if strict:
            raise error
        unreadable[name] = str(error)

    for prediction in predictor.stream(files.paths, on_error=note, on_windows=on_windows):
        image: Any
        try:
            image, reduced = prediction.read_image() if writer.draws_images else (None, 1)
        except UserError as error:
            note(str(prediction.path), error)
            continue
        writer.add(cast(Path, prediction.path), image, prediction.outputs, reduced=reduced)
        num_read += 1
        on_progress(num_read + len(unreadable))
    if not num_read:
        first = next(iter(unreadable.values()))
        raise UserError(f"source: none of the {len(files)} images can be read. The first: {first}")
    return unreadable

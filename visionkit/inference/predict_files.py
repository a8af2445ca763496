"""Prediction on image files into a result writer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from visionkit.errors import UserError
from visionkit.inference.image_files import ImageFiles
from visionkit.inference.predictor import Predictor
from visionkit.report.writers.base import ResultWriter

__all__ = ["predict_files"]


def predict_files(
    predictor: Predictor,
    writer: ResultWriter,
    files: ImageFiles,
    *,
    strict: bool = False,
    on_progress: Callable[[int], None] = lambda done: None,
) -> dict[str, str]:
    """Predict on image files and pass each prediction to a writer.

    Args:
        predictor: The model.
        writer: Receives the predictions; calling its ``write`` at the end is up to the caller.
        files: The images.
        strict: Whether an unreadable file is an error.
        on_progress: Called with the number of files done so far.

    Returns:
        Path and reason of each unreadable file.

    Raises:
        UserError: If no image can be read, or with ``strict`` if any cannot.
    """
    unreadable: dict[str, str] = {}
    num_read = 0

    def note(name: str, error: UserError) -> None:
        if strict:
            raise error
        unreadable[name] = str(error)

    for prediction in predictor.stream(files.paths, on_error=note):
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

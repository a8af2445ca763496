"""Prediction on image files, batch by batch, into a result writer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from visionkit.data.image_rows import open_rows
from visionkit.data.images import ImageReader
from visionkit.errors import UserError
from visionkit.inference.base import Inference, Prediction
from visionkit.inference.image_files import ImageFiles
from visionkit.report.writers.base import ResultWriter

__all__ = ["predict_files"]

_MAX_DRAWN_PIXELS = 50_000_000
_MAX_DRAWN_SIDE = 65_000  # of JPEG files: 65,535

Predicted = tuple[Path, Tensor | None, int, Prediction]
"""Path, image to draw, the divisor of its sides, and prediction."""


def predict_files(
    inference: Inference,
    writer: ResultWriter,
    files: ImageFiles,
    *,
    reader: ImageReader,
    batch_size: int,
    strict: bool = False,
    on_progress: Callable[[int], None] = lambda done: None,
) -> dict[str, str]:
    """Predict on image files and pass each prediction to a writer.

    Args:
        inference: The model and its input transform.
        writer: Receives the predictions; calling its ``write`` at the end is up to the caller.
        files: The images.
        reader: How files become tensors.
        batch_size: The maximum number of images in a batch.
        strict: Whether an unreadable file is an error.
        on_progress: Called with the number of files done so far.

    Returns:
        Path and reason of each unreadable file.

    Raises:
        UserError: If no image can be read, or with ``strict`` if any cannot.
    """
    unreadable: dict[str, str] = {}
    num_read = 0
    predict = _by_windows if inference.window is not None else _by_batches
    for path, image, reduced, prediction in predict(inference, writer, files, reader, batch_size, unreadable, strict):
        writer.add(path, image, prediction, reduced=reduced)
        num_read += 1
        on_progress(num_read + len(unreadable))
    if not num_read:
        first = next(iter(unreadable.values()))
        raise UserError(f"source: none of the {len(files)} images can be read. The first: {first}")
    return unreadable


@contextmanager
def _noting(path: Path, unreadable: dict[str, str], strict: bool) -> Iterator[None]:
    """Add a file that cannot be read to ``unreadable``, or with ``strict`` raise its error."""
    try:
        yield
    except UserError as error:
        if strict:
            raise
        unreadable[str(path)] = str(error)


def _by_batches(
    inference: Inference,
    writer: ResultWriter,
    files: ImageFiles,
    reader: ImageReader,
    batch_size: int,
    unreadable: dict[str, str],
    strict: bool,
) -> Iterator[Predicted]:
    size = min(batch_size, inference.batch_limit)
    for start in range(0, len(files), size):
        batch = []
        for path in files.paths[start : start + size]:
            with _noting(path, unreadable, strict):
                loaded = inference.read(path, reader)
                image = reader.read(path).pixels if writer.draws_images else None
                batch.append((path, image, inference.prepare(loaded)))
        if batch:
            predictions = inference.predict([prepared for _, _, prepared in batch])
            for (path, image, _), prediction in zip(batch, predictions, strict=True):
                yield path, image, 1, prediction


def _by_windows(
    inference: Inference,
    writer: ResultWriter,
    files: ImageFiles,
    reader: ImageReader,
    batch_size: int,
    unreadable: dict[str, str],
    strict: bool,
) -> Iterator[Predicted]:
    for path in files:
        with _noting(path, unreadable, strict):
            rows = open_rows(path, reader)
            prediction = inference.predict_windows(rows)
            reduced = _drawing_scale(*rows.size)
            image = rows.reduced(reduced) if writer.draws_images else None
            yield path, image, reduced, prediction


def _drawing_scale(height: int, width: int) -> int:
    """The whole number by which an image is divided to be drawn."""
    return max(
        math.ceil(math.sqrt(height * width / _MAX_DRAWN_PIXELS)), math.ceil(max(height, width) / _MAX_DRAWN_SIDE)
    )

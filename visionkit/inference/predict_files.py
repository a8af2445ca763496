"""Prediction on image files, batch by batch, into a result writer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from visionkit.data.image_files import ImageFiles
from visionkit.data.images import ImageReader
from visionkit.errors import UserError
from visionkit.inference.base import Inference
from visionkit.report.writers.base import ResultWriter

__all__ = ["predict_files"]


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
    size = 1 if inference.options.window else min(batch_size, inference.batch_limit)
    for batch in _batches(files, size, inference, reader, unreadable, keep_images=writer.draws_images, strict=strict):
        predictions = inference.predict([prepared for _, _, prepared in batch])
        for (path, image, _), prediction in zip(batch, predictions, strict=True):
            writer.add(path, image, prediction)
        num_read += len(batch)
        on_progress(num_read + len(unreadable))
    if not num_read:
        first = next(iter(unreadable.values()))
        raise UserError(f"source: none of the {len(files)} images can be read. The first: {first}")
    return unreadable


def _batches(
    files: ImageFiles,
    size: int,
    inference: Inference,
    reader: ImageReader,
    unreadable: dict[str, str],
    *,
    keep_images: bool,
    strict: bool,
) -> Iterator[list[tuple[Path, Tensor | None, Any]]]:
    """Batches of (path, image as decoded, prepared image); unreadable files are added to ``unreadable``."""
    for start in range(0, len(files), size):
        batch = []
        for path in files.paths[start : start + size]:
            try:
                loaded = inference.read(path, reader)
                image = None
                if keep_images:
                    image = loaded.pixels if inference.wants_original else reader.read(path).pixels
            except UserError as error:
                if strict:
                    raise
                unreadable[str(path)] = str(error)
                continue
            batch.append((path, image, inference.prepare(loaded)))
        if batch:
            yield batch

"""A person's image files through a model, batch by batch, into result files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from visionkit.data.images import ImageFiles, load_image
from visionkit.errors import UserError
from visionkit.inference.base import Inference
from visionkit.report.writers.base import ResultWriter

__all__ = ["predict_files"]


def predict_files(
    inference: Inference,
    writer: ResultWriter,
    files: ImageFiles,
    *,
    batch_size: int,
    strict: bool = False,
    on_progress: Callable[[int], None] = lambda done: None,
) -> dict[str, str]:
    """Predict what images hold and hand it to a writer.

    Args:
        inference: The model, and the way of images into it.
        writer: Takes the predictions; it is not told to write what is left.
        files: The images.
        batch_size: The most images in a batch.
        strict: Whether a file that cannot be read is an error.
        on_progress: Told how many files are done.

    Returns:
        Path and reason of each file that cannot be read.

    Raises:
        UserError: If no image can be read, or with ``strict`` if one cannot.
    """
    unreadable: dict[str, str] = {}
    read = 0
    size = 1 if inference.options.window else min(batch_size, inference.batch_limit)
    for batch in _batches(files, size, inference, unreadable, strict=strict):
        predictions = inference.predict([prepared for _, _, prepared in batch])
        for (path, image, _), prediction in zip(batch, predictions, strict=True):
            writer.add(path, image, prediction)
        read += len(batch)
        on_progress(read + len(unreadable))
    if not read:
        first = next(iter(unreadable.values()))
        raise UserError(f"source: none of the {len(files)} images can be read. The first: {first}")
    return unreadable


def _batches(
    files: ImageFiles, size: int, inference: Inference, unreadable: dict[str, str], *, strict: bool
) -> Iterator[list[tuple[Path, Tensor, Any]]]:
    """Paths, images as they were decoded, and what is kept of these; ``unreadable`` collects what cannot be read."""
    for start in range(0, len(files), size):
        batch = []
        for path in files.paths[start : start + size]:
            try:
                image = load_image(path, inference.data["in_channels"])
            except UserError as error:
                if strict:
                    raise
                unreadable[str(path)] = str(error)
                continue
            batch.append((path, image, inference.prepare(image)))
        if batch:
            yield batch

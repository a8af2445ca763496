"""Plots of classification: images with their classes, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visionkit.metric_names import split_title
from visionkit.report.drawing.base import Drawing
from visionkit.report.images import CAPTION_LENGTH, MAX_IMAGES, plot_captioned
from visionkit.report.style import count_title, shorten

__all__ = ["ClassifyDrawing"]


class ClassifyDrawing(Drawing):
    """Images with a class below each, and the confusion matrix."""

    num_examples = 128
    max_batch = 2 * MAX_IMAGES

    def batch(self, batch: Mapping[str, Any], class_names: Sequence[str], path: Path, *, num_images: int) -> None:
        labels = np.asarray(batch["label"])  # (B,), or of mixed images (B, K)
        if labels.ndim == 2:
            captions = [_shares(row, class_names) for row in labels]
        else:
            captions = [shorten(class_names[label], CAPTION_LENGTH) for label in labels.tolist()]
        count = count_title(len(captions), num_images, "images")
        title = f"{split_title('train')}, first batch: truth of {count}"
        plot_captioned(batch["images"], captions, path, title=title)

    def tables(self, tables: Mapping[str, Any], class_names: Sequence[str], plots: Path, *, split: str) -> None:
        from visionkit.report.plots.confusion_matrix import plot_confusion_matrix, read_counts

        if "confusion_matrix" in tables:
            counts = read_counts(tables["confusion_matrix"])
            plot_confusion_matrix(counts, class_names, plots / "confusion_matrix.png", split=split)

    def examples(
        self, examples: Sequence[Mapping[str, Any]], class_names: Sequence[str], path: Path, *, split: str
    ) -> None:
        if not examples:
            return
        wrong = [example["truth"] != example["prediction"]["label"] for example in examples]
        scores = [example["prediction"]["score"] for example in examples]
        order = sorted(range(len(examples)), key=lambda i: (not wrong[i], -scores[i] if wrong[i] else scores[i]))
        shown = order[:MAX_IMAGES]
        captions = []
        for index in shown:
            prediction = examples[index]["prediction"]
            name = shorten(class_names[prediction["label"]], 11)
            text = f"{'✗' if wrong[index] else '✓'} {name} {prediction['score']:.0%}"
            captions.append(text + (f"\ntruth: {shorten(class_names[examples[index]['truth']], 12)}" * wrong[index]))
        order_title = "the surest mistakes first" if any(wrong) else "the least sure first"
        title = f"{split_title(split)}: {sum(wrong)} of {len(examples)} predictions wrong; {order_title}"
        images = np.stack([np.asarray(examples[index]["image"]) for index in shown])
        plot_captioned(images, captions, path, title=title, wrong=[wrong[index] for index in shown])


def _shares(row: NDArray[Any], class_names: Sequence[str]) -> str:
    """The one or two classes of a mixed image, a line each, with their shares."""
    order = [label for label in np.argsort(-row, kind="stable")[:2].tolist() if row[label] > 0]
    return "\n".join(f"{shorten(class_names[label], CAPTION_LENGTH - 5)} {row[label]:.0%}" for label in order)

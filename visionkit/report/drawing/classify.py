"""Plots of classification: images with their classes, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

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
        labels = batch["label"].tolist()
        captions = [shorten(class_names[label], CAPTION_LENGTH) for label in labels]
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

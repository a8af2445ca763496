"""Plots of multi-label classification: images with their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visionkit.metric_names import split_title
from visionkit.report.drawing.base import Drawing
from visionkit.report.images import CAPTION_LENGTH, MAX_IMAGES, plot_captioned
from visionkit.report.style import count_title, shorten

__all__ = ["MultilabelDrawing"]


class MultilabelDrawing(Drawing):
    """Images with their classes below each."""

    num_examples = 128
    max_batch = 2 * MAX_IMAGES

    def batch(self, batch: Mapping[str, Any], class_names: Sequence[str], path: Path, *, num_images: int) -> None:
        label_sets = np.asarray(batch["label_set"])  # (B, K)
        captions = [_names(row.nonzero()[0].tolist(), class_names) for row in label_sets]
        count = count_title(len(captions), num_images, "images")
        title = f"{split_title('train')}, first batch: truth of {count}"
        plot_captioned(batch["images"], captions, path, title=title)

    def tables(self, tables: Mapping[str, Any], class_names: Sequence[str], plots: Path, *, split: str) -> None:
        """Nothing: ``per_class.csv`` has the numbers."""

    def examples(
        self, examples: Sequence[Mapping[str, Any]], class_names: Sequence[str], path: Path, *, split: str
    ) -> None:
        if not examples:
            return
        wrong = [sorted(example["prediction"]["labels"]) != sorted(example["truth"]) for example in examples]
        errors = [_largest_error(example) for example in examples]
        order = sorted(range(len(examples)), key=lambda index: (not wrong[index], -errors[index]))
        shown = order[:MAX_IMAGES]
        captions = []
        for index in shown:
            predicted = _names(sorted(examples[index]["prediction"]["labels"]), class_names)
            truth = f"\ntruth: {_names(sorted(examples[index]['truth']), class_names)}" * wrong[index]
            captions.append(f"{'✗' if wrong[index] else '✓'} {predicted}{truth}")
        images = np.stack([np.asarray(examples[index]["image"]) for index in shown])
        order_title = "the surest mistakes first" if any(wrong) else "the least sure first"
        title = f"{split_title(split)}: {sum(wrong)} of {len(examples)} predictions wrong; {order_title}"
        plot_captioned(images, captions, path, title=title, wrong=[wrong[index] for index in shown])


def _largest_error(example: Mapping[str, Any]) -> float:
    """How far the probability of any class is from the truth, 0 or 1."""
    truth = set(example["truth"])
    probabilities = enumerate(example["prediction"]["probabilities"])
    return max((abs(value - (label in truth)) for label, value in probabilities), default=0.0)


def _names(labels: Sequence[int], class_names: Sequence[str]) -> str:
    return shorten(", ".join(class_names[label] for label in labels) or "none", CAPTION_LENGTH)

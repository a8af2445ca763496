"""Plots of multi-label classification: images with their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visionkit.report.drawing.base import Drawing
from visionkit.report.plots.images import plot_captioned
from visionkit.report.style import shorten

__all__ = ["MultilabelDrawing"]


class MultilabelDrawing(Drawing):
    """Images with their classes below each."""

    num_examples = 32

    def batch(self, batch: Mapping[str, Any], class_names: Sequence[str], path: Path) -> None:
        label_sets = np.asarray(batch["label_set"])  # (B, K)
        captions = [_names(row.nonzero()[0].tolist(), class_names) for row in label_sets]
        plot_captioned(batch["images"], captions, [False] * len(captions), path, title="first training batch")

    def tables(self, tables: Mapping[str, Any], class_names: Sequence[str], plots: Path) -> None:
        """Nothing: ``per_class.csv`` has the numbers."""

    def examples(self, examples: Sequence[Mapping[str, Any]], class_names: Sequence[str], path: Path) -> None:
        if not examples:
            return
        captions, wrong = [], []
        for example in examples:
            predicted, truth = sorted(example["prediction"]["labels"]), sorted(example["truth"])
            wrong.append(predicted != truth)
            is_line = f"\nis {_names(truth, class_names)}" if wrong[-1] else ""
            captions.append(_names(predicted, class_names) + is_line)
        images = np.stack([np.asarray(example["image"]) for example in examples])
        title = f"predictions on validation images: {sum(wrong)} of {len(wrong)} wrong"
        plot_captioned(images, captions, wrong, path, title=title)


def _names(labels: Sequence[int], class_names: Sequence[str]) -> str:
    return shorten(", ".join(class_names[label] for label in labels) or "none", 18)

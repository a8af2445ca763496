"""Plots of classification: images with their classes, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visionkit.report.drawing.base import Drawing
from visionkit.report.plots.confusion_matrix import plot_confusion_matrix, read_counts
from visionkit.report.plots.images import plot_images, plot_predictions

__all__ = ["ClassifyDrawing"]


class ClassifyDrawing(Drawing):
    """Images with a class below each, and the confusion matrix."""

    num_examples = 32

    def batch(self, batch: Mapping[str, Any], class_names: Sequence[str], path: Path) -> None:
        plot_images(batch["images"], batch["label"].tolist(), class_names, path, title="first training batch")

    def tables(self, tables: Mapping[str, Any], class_names: Sequence[str], plots: Path) -> None:
        if "confusion_matrix" in tables:
            counts = read_counts(tables["confusion_matrix"])
            plot_confusion_matrix(counts, class_names, plots / "confusion_matrix.png")

    def examples(self, examples: Sequence[Mapping[str, Any]], class_names: Sequence[str], path: Path) -> None:
        if examples:
            plot_predictions(
                np.stack([np.asarray(example["image"]) for example in examples]),
                [example["truth"] for example in examples],
                [example["prediction"]["label"] for example in examples],
                [example["prediction"]["score"] for example in examples],
                class_names,
                path,
                title="predictions on validation images",
            )

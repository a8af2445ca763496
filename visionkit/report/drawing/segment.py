"""Plots of semantic segmentation: overlays of masks on images, and the confusion matrix of pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visionkit.metric_names import split_title
from visionkit.report.drawing.base import Drawing
from visionkit.report.masks import plot_masks
from visionkit.report.style import count_title
from visionkit.text import count_of

__all__ = ["SegmentDrawing", "mean_iou"]


class SegmentDrawing(Drawing):
    """Image, ground truth and prediction side by side, and the confusion matrix."""

    num_examples = max_batch = 8

    def batch(self, batch: Mapping[str, Any], class_names: Sequence[str], path: Path, *, num_images: int) -> None:
        columns = (batch[name] for name in ("images", "image_sizes", "mask"))
        panels = [
            (image[:, :height, :width], mask[:height, :width])
            for image, (height, width), mask in zip(*columns, strict=True)
        ]
        count = count_title(len(panels), num_images, "images")
        plot_masks(panels, class_names, path, title=f"{split_title('train')}, first batch: truth of {count}")

    def tables(self, tables: Mapping[str, Any], class_names: Sequence[str], plots: Path, *, split: str) -> None:
        from visionkit.report.plots.confusion_matrix import plot_confusion_matrix, read_counts

        if "confusion_matrix" in tables:
            counts = read_counts(tables["confusion_matrix"])
            plot_confusion_matrix(counts, class_names, plots / "confusion_matrix.png", split=split, unit="pixels")

    def examples(
        self, examples: Sequence[Mapping[str, Any]], class_names: Sequence[str], path: Path, *, split: str
    ) -> None:
        scores = [mean_iou(example["truth"], example["prediction"]["mask"]) for example in examples]
        panels: list[tuple[Any, Any]] = []
        captions: list[str] = []
        for index in sorted(range(len(examples)), key=lambda index: (math.isnan(scores[index]), scores[index])):
            image, prediction = examples[index]["image"], examples[index]["prediction"]["mask"]
            panels += [(image, None), (image, examples[index]["truth"]), (image, prediction)]
            captions += ["", "", f"mIoU {scores[index]:.1%}" if math.isfinite(scores[index]) else ""]
        if panels:
            headings = ("image", "truth", "predicted")
            title = f"{split_title(split)}: {count_of(len(examples), 'image')}, the worst first"
            plot_masks(panels, class_names, path, title=title, columns=6, headings=headings, captions=captions)


def mean_iou(truth: Any, prediction: Any) -> float:
    """Mean IoU of one image over the classes in either mask, (H, W) uint8; NaN if there are none; 255 is ignored."""
    true_ids, predicted_ids = np.asarray(truth).ravel(), np.asarray(prediction).ravel()
    counted = (true_ids != 255) & (predicted_ids != 255)
    true_ids, predicted_ids = true_ids[counted], predicted_ids[counted]
    true_counts, predicted_counts, common = (
        np.bincount(ids, minlength=256) for ids in (true_ids, predicted_ids, true_ids[true_ids == predicted_ids])
    )
    union = true_counts + predicted_counts - common
    return float((common[union > 0] / union[union > 0]).mean()) if union.any() else math.nan

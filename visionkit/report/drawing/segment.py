"""Plots of semantic segmentation: overlays of masks on images, and the confusion matrix of pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visionkit.report.drawing.base import Drawing
from visionkit.report.masks import plot_masks

__all__ = ["SegmentDrawing"]


class SegmentDrawing(Drawing):
    """Image, ground truth and prediction side by side, and the confusion matrix."""

    num_examples = 8

    def batch(self, batch: Mapping[str, Any], class_names: Sequence[str], path: Path) -> None:
        columns = (batch[name][: self.num_examples] for name in ("images", "image_sizes", "mask"))
        panels = [
            (image[:, :height, :width], mask[:height, :width])
            for image, (height, width), mask in zip(*columns, strict=True)
        ]
        plot_masks(panels, class_names, path, title="first training batch")

    def tables(self, tables: Mapping[str, Any], class_names: Sequence[str], plots: Path) -> None:
        from visionkit.report.plots.confusion_matrix import plot_confusion_matrix, read_counts

        if "confusion_matrix" in tables:
            counts = read_counts(tables["confusion_matrix"])
            plot_confusion_matrix(counts, class_names, plots / "confusion_matrix.png", unit="pixels")

    def examples(self, examples: Sequence[Mapping[str, Any]], class_names: Sequence[str], path: Path) -> None:
        panels: list[tuple[Any, Any]] = []
        for example in examples:
            image = example["image"]
            panels += [(image, None), (image, example["truth"]), (image, example["prediction"]["mask"])]
        if panels:
            headings = ("image", "truth", "predicted") * 2
            plot_masks(panels, class_names, path, title="validation images", columns=6, headings=headings)

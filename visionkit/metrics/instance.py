"""COCO's metrics of instance segmentation, of masks and of boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from visionkit.metrics.average_precision import STATS, MaskAveragePrecision
from visionkit.metrics.detection import DetectionMetrics, class_averages
from visionkit.metrics.table import Table
from visionkit.structures.rle import paste_masks, unpack_masks

__all__ = ["InstanceMetrics"]


class InstanceMetrics(DetectionMetrics):
    """`DetectionMetrics` of masks, and with the prefix ``box_`` of boxes.

    Masks are pasted at the size of the original image and kept run-length encoded. `update` takes predictions with
    ``mask_logits`` (B, D, S, S), which cover the boxes, and batches with ``original_sizes`` (B, 2), height and width,
    and ``truth_runs`` (B, L) uint8, masks encoded by `visionkit.structures.rle.pack_masks`.

    Args:
        class_names: The K classes, in the order of their ids.
        extra: Metrics of the user's choice by name.
        intervals: Whether `intervals` is wanted.
    """

    average_precision_class = MaskAveragePrecision
    prediction_keys = (*DetectionMetrics.prediction_keys, "mask_logits")
    image_keys = (*DetectionMetrics.image_keys, "original_sizes", "truth_runs")
    stats = (*STATS, *(f"box_{name}" for name in STATS))

    def tables(self) -> dict[str, Table]:
        """``per_class`` (class, objects, AP, AP50, box_AP, box_AP50), and ``precision_recall`` of masks at IoU 0.5."""
        tables = super().tables()
        if tables:
            masks = tables["per_class"]
            boxes = zip(*class_averages(self._compute()["box_precision"]), strict=True)
            rows = [(*row, *box_values) for row, box_values in zip(masks.rows, boxes, strict=True)]
            tables["per_class"] = Table((*masks.columns, "box_AP", "box_AP50"), rows)
        return tables

    def _by_image(self, batch: Mapping[str, Tensor]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        predictions, targets = super()._by_image(batch)
        for i, size in enumerate(batch["original_sizes"]):
            height, width = size.tolist()
            predictions[i]["masks"] = paste_masks(
                predictions[i].pop("mask_logits"), predictions[i]["boxes"], (height, width)
            )
            targets[i] |= {"masks": unpack_masks(batch["truth_runs"][i], (height, width)), "size": size}
        return predictions, targets

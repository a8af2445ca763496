"""Metrics of instance masks: what COCO's own evaluation says of masks, and of boxes."""

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
    """COCO's numbers of masks, and with ``box_`` before their names of boxes; see `DetectionMetrics`.

    Masks are pasted at the size of the original image and kept run-length encoded. To what `DetectionMetrics.update`
    takes, predictions add ``mask_logits`` (B, D, S, S), stretched over the boxes, and batches ``original_sizes``
    (B, 2) and ``truth_runs`` (B, L) uint8, the masks as `visionkit.structures.rle.pack_masks` leaves them.

    Args:
        class_names: The K classes, in the order of their ids.
    """

    average_precision_class = MaskAveragePrecision
    predicted = (*DetectionMetrics.predicted, "mask_logits")
    of_images = (*DetectionMetrics.of_images, "original_sizes", "truth_runs")
    stats = (*STATS, *(f"box_{name}" for name in STATS))

    def tables(self) -> dict[str, Table]:
        """``per_class`` (class, objects, AP, AP50, box_AP, box_AP50), and ``precision_recall`` of masks at IoU 0.5."""
        tables = super().tables()
        if tables:
            masks = tables["per_class"]
            boxes = zip(*class_averages(self._evaluated()["box_precision"]), strict=True)
            rows = [(*row, *more) for row, more in zip(masks.rows, boxes, strict=True)]
            tables["per_class"] = Table((*masks.columns, "box_AP", "box_AP50"), rows)
        return tables

    def _by_image(self, batch: Mapping[str, Tensor]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        found, truth = super()._by_image(batch)
        for i, size in enumerate(batch["original_sizes"]):
            height, width = size.tolist()
            found[i]["masks"] = paste_masks(found[i].pop("mask_logits"), found[i]["boxes"], (height, width))
            truth[i] |= {"masks": unpack_masks(batch["truth_runs"][i], (height, width)), "size": size}
        return found, truth

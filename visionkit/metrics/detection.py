"""COCO's metrics of detection over a whole split."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from visionkit.distributed.comm import gather_objects
from visionkit.metrics.average_precision import STATS, BoxAveragePrecision
from visionkit.metrics.base import TaskMetrics, gather_metric
from visionkit.metrics.table import Table

__all__ = ["DetectionMetrics", "class_averages"]

MAX_BUFFERED_BYTES = 1 << 26


class DetectionMetrics(TaskMetrics):
    """Average precision and recall as COCO defines them (Lin et al. 2014; cocodataset.org/#detection-eval).

    Batches are buffered up to `MAX_BUFFERED_BYTES`: a batch costs an append, without synchronising with the device.

    Args:
        class_names: The K classes, in the order of their ids.
        extra: Metrics of the user's choice by name.
        intervals: Whether `intervals` is wanted.
    """

    average_precision_class: ClassVar[type[BoxAveragePrecision]] = BoxAveragePrecision
    prediction_keys: ClassVar[tuple[str, ...]] = ("boxes", "scores", "labels")
    target_keys: ClassVar[tuple[str, ...]] = ("truth_boxes", "truth_labels", "truth_crowd", "truth_area")
    image_keys: ClassVar[tuple[str, ...]] = ("index",)
    stats: ClassVar[tuple[str, ...]] = STATS

    def __init__(
        self, class_names: Sequence[str], extra: Mapping[str, Metric] | None = None, *, intervals: bool = False
    ) -> None:
        super().__init__(class_names, extra, intervals=intervals)
        self.average_precision = self.average_precision_class(len(self.class_names), intervals=intervals)
        self._pending: list[dict[str, Tensor]] = []
        self._buffered_bytes = self._num_images = 0
        self._result: dict[str, Tensor] | None = None

    def own_names(self, num_classes: int) -> Collection[str]:
        return self.stats

    def update(self, predictions: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> None:
        """Add one batch.

        Args:
            predictions: ``boxes`` (B, D, 4) xyxy in pixels of the original images, ``scores`` (B, D) and ``labels``
                (B, D) int64, -1 for padding.
            batch: The ground truth in the same pixels: ``truth_boxes`` (B, T, 4), ``truth_labels`` (B, T) int64, -1 for
                padding, ``truth_crowd`` (B, T) bool, ``truth_area`` (B, T) square pixels, and ``index`` (B,), the
                index of each image in its data set.
        """
        entry = {name: predictions[name].detach() for name in self.prediction_keys}
        entry |= {name: batch[name] for name in (*self.target_keys, *self.image_keys)}
        self._pending.append(entry)
        self._buffered_bytes += sum(value.nbytes for value in entry.values())
        self._num_images += len(batch["index"])
        self._result = None
        if self._buffered_bytes >= MAX_BUFFERED_BYTES:
            self._flush()

    def gather(self) -> None:
        self._flush()
        super().gather()
        gather_metric(self.average_precision)
        self._num_images = sum(gather_objects(self._num_images))

    def scalars(self) -> dict[str, Tensor]:
        """COCO's twelve metrics of all batches since the last `reset`, scalar tensors; empty if there were none.

        ``map`` (mean over IoU 0.50..0.95 and the classes), ``map_50``, ``map_75``, ``map_small``, ``map_medium``,
        ``map_large``, ``mar_1``, ``mar_10``, ``mar_100``, ``mar_small``, ``mar_medium``, ``mar_large``. A metric
        of a size of which there are no objects is left out.
        """
        if not self._num_images:
            return {}
        result = self._compute()
        return {name: result[name] for name in self.stats if result[name] >= 0} | super().scalars()

    def intervals(self) -> dict[str, Tensor]:
        """Those of ``map`` and, of instances, of ``box_map``; see `TaskMetrics.intervals`."""
        if self.images is None or not self._num_images:
            return {}
        names = (f"{prefix}map_{end}" for prefix in ("", "box_") for end in ("low", "high"))
        return {name: self._compute()[name] for name in names if name in self._compute()}

    def tables(self) -> dict[str, Table]:
        """``per_class`` (class, objects, AP, AP50) and ``precision_recall`` at IoU 0.5 (a row per recall)."""
        if not self._num_images:
            return {}
        result = self._compute()
        num_objects = result["objects"].view(-1).tolist()  # torchmetrics makes a scalar of a single class
        curves = _curves(result["precision"])
        per_class = list(zip(self.class_names, num_objects, *class_averages(result["precision"]), strict=True))
        with_mean = torch.cat([curves[0].nanmean(dim=1, keepdim=True), curves[0]], dim=1).tolist()
        rows = [(step / 100, *(_cell(value) for value in values)) for step, values in enumerate(with_mean)]
        return {
            "per_class": Table(("class", "objects", "AP", "AP50"), per_class),
            "precision_recall": Table(("recall", "mean", *self.class_names), rows),
        }

    def reset(self) -> None:
        super().reset()
        self._pending.clear()
        self._buffered_bytes = self._num_images = 0
        self._result = None
        self.average_precision.reset()

    def _compute(self) -> dict[str, Tensor]:
        if self._result is None:
            self._flush()
            self._result = self.average_precision.compute()
        return self._result

    def _flush(self) -> None:
        for batch in self._pending:
            predictions, targets = self._by_image({name: value.cpu() for name, value in batch.items()})
            for metric in (self.average_precision, *self.extra.values()):
                metric.to("cpu").update(predictions, targets)
        self._pending.clear()
        self._buffered_bytes = 0

    def _by_image(self, batch: Mapping[str, Tensor]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Predictions and targets of each image of a batch, as `BoxAveragePrecision.update` expects them."""
        predictions = _images_of(batch, self.prediction_keys, present=batch["labels"] >= 0)
        objects = _images_of(batch, self.target_keys, present=batch["truth_labels"] >= 0)
        targets = [
            {
                "boxes": item["truth_boxes"].double(),
                "labels": item["truth_labels"],
                "iscrowd": item["truth_crowd"].long(),
                "area": item["truth_area"],
                "image_id": image_id,
            }
            for item, image_id in zip(objects, batch["index"], strict=True)
        ]
        # In double precision widths and heights, which are differences, equal those of pycocotools.
        return [{**item, "boxes": item["boxes"].double()} for item in predictions], targets


def _images_of(batch: Mapping[str, Tensor], names: Sequence[str], *, present: Tensor) -> list[dict[str, Tensor]]:
    """Padded tensors (B, N, ...) as one dict per image, without the padding."""
    counts = present.sum(dim=1).tolist()
    parts = [torch.split(batch[name][present], counts) for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*parts, strict=True)]


def class_averages(precision: Tensor) -> tuple[list[float | None], list[float | None]]:
    """AP and AP50 of each class, None where it has no objects, from ``precision`` (10, 101, K)."""
    curves = _curves(precision)
    average, average50 = curves.mean(dim=(0, 1)).tolist(), curves[0].mean(dim=0).tolist()
    return [_cell(value) for value in average], [_cell(value) for value in average50]


def _curves(precision: Tensor) -> Tensor:
    return torch.where(precision >= 0, precision, torch.nan)


def _cell(value: float) -> float | None:
    return None if math.isnan(value) else value

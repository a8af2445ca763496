"""Metrics of detection: what COCO's own evaluation says over a whole split."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from visionkit.distributed.comm import gather_objects
from visionkit.metrics.average_precision import STATS, BoxAveragePrecision
from visionkit.metrics.base import gather_metric
from visionkit.metrics.table import Table

__all__ = ["DetectionMetrics", "class_averages"]

BUFFERED_BYTES = 1 << 26


class DetectionMetrics(nn.Module):
    """Average precision and recall as COCO defines them (Lin et al. 2014; cocodataset.org/#detection-eval).

    Batches are kept as they are until many have come together: a batch costs an append, and nothing waits for the
    device.

    Args:
        class_names: The K classes, in the order of their ids.
    """

    average_precision_class: ClassVar[type[BoxAveragePrecision]] = BoxAveragePrecision
    predicted: ClassVar[tuple[str, ...]] = ("boxes", "scores", "labels")
    truth: ClassVar[tuple[str, ...]] = ("truth_boxes", "truth_labels", "truth_crowd", "truth_area")
    of_images: ClassVar[tuple[str, ...]] = ("index",)
    stats: ClassVar[tuple[str, ...]] = STATS

    def __init__(self, class_names: Sequence[str]) -> None:
        super().__init__()
        self.class_names = tuple(class_names)
        self.average_precision = self.average_precision_class(len(self.class_names))
        self._waiting: list[dict[str, Tensor]] = []
        self._waiting_bytes = self._images = 0
        self._result: dict[str, Tensor] | None = None

    def update(self, predictions: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> None:
        """Take one batch in.

        Args:
            predictions: ``boxes`` (B, D, 4) xyxy in pixels of the original images, ``scores`` (B, D) and ``labels``
                (B, D) int64, -1 where there is no box.
            batch: The truth in the same pixels: ``truth_boxes`` (B, T, 4), ``truth_labels`` (B, T) int64 with -1 for
                padding, ``truth_crowd`` (B, T) bool, ``truth_area`` (B, T) square pixels, and ``index`` (B,), a number
                of its own for each image.
        """
        kept = {name: predictions[name].detach() for name in self.predicted}
        kept |= {name: batch[name] for name in (*self.truth, *self.of_images)}
        self._waiting.append(kept)
        self._waiting_bytes += sum(value.nbytes for value in kept.values())
        self._images += len(batch["index"])
        self._result = None
        if self._waiting_bytes >= BUFFERED_BYTES:
            self._flush()

    def gather(self) -> None:
        """Take in, in the first process, what all others have seen."""
        self._flush()
        gather_metric(self.average_precision)
        self._images = sum(gather_objects(self._images))

    def scalars(self) -> dict[str, Tensor]:
        """COCO's twelve numbers of all batches since the last `reset`, each a scalar tensor; empty if there were none.

        ``map`` (mean over IoU 0.50..0.95 and the classes), ``map_50``, ``map_75``, ``map_small``, ``map_medium``,
        ``map_large``, ``mar_1``, ``mar_10``, ``mar_100``, ``mar_small``, ``mar_medium``, ``mar_large``. A number
        about objects of which there are none is left out.
        """
        if not self._images:
            return {}
        result = self._evaluated()
        return {name: result[name] for name in self.stats if result[name] >= 0}

    def tables(self) -> dict[str, Table]:
        """``per_class`` (class, objects, AP, AP50) and ``precision_recall`` at IoU 0.5 (a row per recall)."""
        if not self._images:
            return {}
        result = self._evaluated()
        objects = result["objects"].view(-1).tolist()  # torchmetrics makes a scalar of a single class
        curves = _curves(result["precision"])
        per_class = list(zip(self.class_names, objects, *class_averages(result["precision"]), strict=True))
        with_mean = torch.cat([curves[0].nanmean(dim=1, keepdim=True), curves[0]], dim=1).tolist()
        rows = [(number / 100, *(_cell(value) for value in line)) for number, line in enumerate(with_mean)]
        return {
            "per_class": Table(("class", "objects", "AP", "AP50"), per_class),
            "precision_recall": Table(("recall", "mean", *self.class_names), rows),
        }

    def reset(self) -> None:
        """Forget every batch."""
        self._waiting.clear()
        self._waiting_bytes = self._images = 0
        self._result = None
        self.average_precision.reset()

    def _evaluated(self) -> dict[str, Tensor]:
        if self._result is None:
            self._flush()
            self._result = self.average_precision.compute()
        return self._result

    def _flush(self) -> None:
        for batch in self._waiting:
            self.average_precision.update(*self._by_image({name: value.cpu() for name, value in batch.items()}))
        self._waiting.clear()
        self._waiting_bytes = 0

    def _by_image(self, batch: Mapping[str, Tensor]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Detections and objects of each image of a batch, as `BoxAveragePrecision.update` wants them."""
        found = _images_of(batch, self.predicted, present=batch["labels"] >= 0)
        truth = _images_of(batch, self.truth, present=batch["truth_labels"] >= 0)
        targets = [
            {
                "boxes": item["truth_boxes"].double(),
                "labels": item["truth_labels"],
                "iscrowd": item["truth_crowd"].long(),
                "area": item["truth_area"],
                "image_id": number,
            }
            for item, number in zip(truth, batch["index"], strict=True)
        ]
        # Widths and heights are differences: in double precision they are those which pycocotools sees.
        return [{**item, "boxes": item["boxes"].double()} for item in found], targets


def _images_of(batch: Mapping[str, Tensor], names: Sequence[str], *, present: Tensor) -> list[dict[str, Tensor]]:
    """Padded tensors (B, N, ...) as one mapping per image, without the padding."""
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

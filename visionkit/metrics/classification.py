"""Metrics of classification over a whole split: a torchmetrics collection, and the accuracy alone for training."""

from typing import Any

from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
)

from visionkit.metrics.buffered import BufferedMetrics
from visionkit.metrics.intervals import interval_scalars, wilson_interval
from visionkit.metrics.table import Table, confusion_table

__all__ = ["ClassificationMetrics", "TrainingAccuracy"]

# `gather` merges the processes once, instead of synchronising in each `compute`.
_OPTIONS: dict[str, Any] = {"validate_args": False, "sync_on_compute": False}


class TrainingAccuracy(BufferedMetrics):
    """Top-1 accuracy of the training batches."""

    def make_metrics(self, num_classes: int) -> dict[str, Metric | MetricCollection]:
        return {"accuracy": MulticlassAccuracy(num_classes, average="micro", **_OPTIONS)}


class ClassificationMetrics(TrainingAccuracy):
    """Top-1 and top-5 accuracy, macro F1, calibration error, per-class accuracy and confusion matrix."""

    max_buffered_values = 1 << 20

    def make_metrics(self, num_classes: int) -> dict[str, Metric | MetricCollection]:
        metrics = super().make_metrics(num_classes) | {
            "f1_macro": MulticlassF1Score(num_classes, average="macro", **_OPTIONS),
            # 15 bins, as Guo et al. 2017, section 4.
            "calibration_error": _CalibrationError(num_classes, n_bins=15, **_OPTIONS),
            "confusion_matrix": MulticlassConfusionMatrix(num_classes, **_OPTIONS),
        }
        if num_classes > 5:
            metrics["top5_accuracy"] = MulticlassAccuracy(num_classes, top_k=5, average="micro", **_OPTIONS)
        return metrics

    def intervals(self) -> dict[str, Tensor]:
        """That of ``accuracy``; see `TaskMetrics.intervals`."""
        self._flush()
        if self.images is None or not self._num_images:
            return {}
        counts = self.collection["confusion_matrix"].compute().long()
        correct, total = int(counts.trace()), int(counts.sum())
        return interval_scalars("accuracy", correct / total, wilson_interval(correct, total))

    def tables(self) -> dict[str, Table]:
        """``per_class`` (class, images, correct, accuracy) and ``confusion_matrix`` (a row per true class)."""
        self._flush()
        if not self._num_images:
            return {}
        counts: list[list[int]] = self.collection["confusion_matrix"].compute().long().tolist()
        per_class = [
            (name, sum(row), row[index], row[index] / sum(row) if sum(row) else None)
            for index, (name, row) in enumerate(zip(self.class_names, counts, strict=True))
        ]
        return {
            "per_class": Table(("class", "images", "correct", "accuracy"), per_class),
            "confusion_matrix": confusion_table(self.class_names, counts),
        }


class _CalibrationError(MulticlassCalibrationError):
    """Sums in double precision: in single precision they would depend on the order of the gathered samples."""

    confidences: list[Tensor]
    accuracies: list[Tensor]

    def compute(self) -> Tensor:
        self.confidences = [confidences.cpu().double() for confidences in self.confidences]
        self.accuracies = [accuracies.cpu() for accuracies in self.accuracies]
        value: Tensor = super().compute()
        return value

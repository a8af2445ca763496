"""Metrics of classification over a whole split: a torchmetrics collection, and a running accuracy for training."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
)

from visionkit.distributed.comm import gather_objects
from visionkit.metrics.base import gather_metric
from visionkit.metrics.table import Table

__all__ = ["ClassificationMetrics", "RunningAccuracy"]

MAX_BUFFERED_VALUES = 1 << 20


class ClassificationMetrics(nn.Module):
    """Top-1 and top-5 accuracy, macro F1, calibration error, per-class accuracy and confusion matrix.

    Batches are buffered up to `MAX_BUFFERED_VALUES` probabilities and then go through torchmetrics at once: a batch
    costs an append, without synchronising with the device.

    Args:
        class_names: The K classes, in the order of their ids; at least two.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        super().__init__()
        self.class_names = tuple(class_names)
        num_classes = len(self.class_names)
        # `gather` merges the processes once, instead of synchronising in each `compute`.
        options: dict[str, Any] = {"validate_args": False, "sync_on_compute": False}
        metrics: dict[str, Metric | MetricCollection] = {
            "accuracy": MulticlassAccuracy(num_classes, average="micro", **options),
            "f1_macro": MulticlassF1Score(num_classes, average="macro", **options),
            # 15 bins, as Guo et al. 2017, section 4.
            "calibration_error": _CalibrationError(num_classes, n_bins=15, **options),
            "confusion_matrix": MulticlassConfusionMatrix(num_classes, **options),
        }
        if num_classes > 5:
            metrics["top5_accuracy"] = MulticlassAccuracy(num_classes, top_k=5, average="micro", **options)
        self.collection = MetricCollection(metrics, compute_groups=False)
        self._num_images = 0
        self._pending: list[tuple[Tensor, Tensor]] = []
        self._buffered_values = 0

    def update(self, probabilities: Tensor, labels: Tensor) -> None:
        """Add one batch.

        Args:
            probabilities: (B, K) floating, in 0..1.
            labels: (B,) int64 in 0..K-1.
        """
        self._pending.append((probabilities.detach(), labels))
        self._buffered_values += probabilities.numel()
        self._num_images += len(labels)
        if self._buffered_values >= MAX_BUFFERED_VALUES:
            self._flush()

    def gather(self) -> None:
        """Merge the batches of all processes into the first one."""
        self._flush()
        for metric in self.collection.values():
            gather_metric(metric)
        self._num_images = sum(gather_objects(self._num_images))

    def scalars(self) -> dict[str, Tensor]:
        """The metrics of all batches since the last `reset`, scalar tensors; empty if there were none."""
        self._flush()
        if not self._num_images:
            return {}
        values: dict[str, Tensor] = self.collection.compute()
        return {name: value for name, value in values.items() if value.ndim == 0}

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
            "confusion_matrix": Table(
                ("true \\ predicted", *self.class_names),
                [(name, *row) for name, row in zip(self.class_names, counts, strict=True)],
            ),
        }

    def reset(self) -> None:
        """Discard all batches."""
        self._pending.clear()
        self._buffered_values = self._num_images = 0
        self.collection.reset()

    def _flush(self) -> None:
        if not self._pending:
            return
        probabilities = torch.cat([scores for scores, _ in self._pending]).float()  # (N, K)
        labels = torch.cat([labels for _, labels in self._pending])  # (N,)
        self._pending.clear()
        self._buffered_values = 0
        self.collection.update(probabilities, labels)


class _CalibrationError(MulticlassCalibrationError):
    """Sums in double precision: in single precision they would depend on the order of the gathered samples."""

    confidences: list[Tensor]
    accuracies: list[Tensor]

    def compute(self) -> Tensor:
        self.confidences = [confidences.cpu().double() for confidences in self.confidences]
        self.accuracies = [accuracies.cpu() for accuracies in self.accuracies]
        value: Tensor = super().compute()
        return value


class RunningAccuracy(nn.Module):
    """Top-1 accuracy of the training batches, counted in place on the device."""

    correct: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("correct", torch.zeros((), dtype=torch.int64), persistent=False)
        self._num_images = 0

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Add one batch.

        Args:
            scores: (B, K) floating, logits or probabilities.
            labels: (B,) int64 in 0..K-1.
        """
        self.correct.add_((scores.detach().argmax(1) == labels).sum())
        self._num_images += len(labels)

    def gather(self) -> None:
        """Merge the batches of all processes into the first one."""
        states = gather_objects((int(self.correct), self._num_images))
        self.correct.fill_(sum(correct for correct, _ in states))
        self._num_images = sum(images for _, images in states)

    def scalars(self) -> dict[str, Tensor]:
        """``accuracy``, a scalar; empty before the first batch."""
        return {"accuracy": self.correct / self._num_images} if self._num_images else {}

    def tables(self) -> dict[str, Table]:
        """No tables."""
        return {}

    def reset(self) -> None:
        """Discard all batches."""
        self.correct.zero_()
        self._num_images = 0

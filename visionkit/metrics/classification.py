"""Metrics of classification, computed by torchmetrics over a whole split."""

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

BUFFERED_NUMBERS = 1 << 20


class ClassificationMetrics(nn.Module):
    """Top-1 and top-5 accuracy, macro F1, calibration error, per-class accuracy and confusion matrix.

    Batches are kept until about a million numbers have come together and then go through torchmetrics
    at once: a batch costs an append, and nothing waits for the device.

    Args:
        class_names: The K classes, in the order of their ids; at least two.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        super().__init__()
        self.class_names = tuple(class_names)
        number = len(self.class_names)
        # What other processes have seen comes by `gather_objects`, once, not by each `compute`.
        alone: dict[str, Any] = {"validate_args": False, "sync_on_compute": False}
        metrics: dict[str, Metric | MetricCollection] = {
            "accuracy": MulticlassAccuracy(number, average="micro", **alone),
            "f1_macro": MulticlassF1Score(number, average="macro", **alone),
            # 15 bins, as Guo et al. 2017, section 4.
            "calibration_error": _CalibrationError(number, n_bins=15, **alone),
            "confusion_matrix": MulticlassConfusionMatrix(number, **alone),
        }
        if number > 5:
            metrics["top5_accuracy"] = MulticlassAccuracy(number, top_k=5, average="micro", **alone)
        self.collection = MetricCollection(metrics, compute_groups=False)
        self._images = 0
        self._waiting: list[tuple[Tensor, Tensor]] = []
        self._waiting_numbers = 0

    def update(self, probabilities: Tensor, labels: Tensor) -> None:
        """Take one batch in.

        Args:
            probabilities: (B, K) floating, in 0..1.
            labels: (B,) int64 in 0..K-1.
        """
        self._waiting.append((probabilities.detach(), labels))
        self._waiting_numbers += probabilities.numel()
        self._images += len(labels)
        if self._waiting_numbers >= BUFFERED_NUMBERS:
            self._flush()

    def gather(self) -> None:
        """Take in, in the first process, what all others have seen."""
        self._flush()
        for metric in self.collection.values():
            gather_metric(metric)
        self._images = sum(gather_objects(self._images))

    def scalars(self) -> dict[str, Tensor]:
        """The numbers of all batches since the last `reset`, each a scalar tensor; empty if there were none."""
        self._flush()
        if not self._images:
            return {}
        computed: dict[str, Tensor] = self.collection.compute()
        return {name: value for name, value in computed.items() if value.ndim == 0}

    def tables(self) -> dict[str, Table]:
        """``per_class`` (class, images, correct, accuracy) and ``confusion_matrix`` (a row per true class)."""
        self._flush()
        if not self._images:
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
        """Forget every batch."""
        self._waiting.clear()
        self._waiting_numbers = self._images = 0
        self.collection.reset()

    def _flush(self) -> None:
        if not self._waiting:
            return
        probabilities = torch.cat([p for p, _ in self._waiting]).float()  # (N, K)
        labels = torch.cat([labels for _, labels in self._waiting])  # (N,)
        self._waiting.clear()
        self._waiting_numbers = 0
        self.collection.update(probabilities, labels)


class _CalibrationError(MulticlassCalibrationError):
    """Sums in double precision: in single, they would depend on the order in which processes bring their samples."""

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
        self._images = 0

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Take one batch in.

        Args:
            scores: (B, K), logits or probabilities.
            labels: (B,) int64 in 0..K-1.
        """
        self.correct.add_((scores.detach().argmax(1) == labels).sum())
        self._images += len(labels)

    def gather(self) -> None:
        """Take in, in the first process, what all others have seen."""
        seen = gather_objects((int(self.correct), self._images))
        self.correct.fill_(sum(correct for correct, _ in seen))
        self._images = sum(images for _, images in seen)

    def scalars(self) -> dict[str, Tensor]:
        """``accuracy``, a scalar; empty before the first batch."""
        return {"accuracy": self.correct / self._images} if self._images else {}

    def tables(self) -> dict[str, Table]:
        """None."""
        return {}

    def reset(self) -> None:
        """Forget every batch."""
        self.correct.zero_()
        self._images = 0

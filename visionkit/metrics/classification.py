"""Metrics of classification, computed by torchmetrics over a whole split."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
)

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
        metrics: dict[str, Metric | MetricCollection] = {
            "accuracy": MulticlassAccuracy(number, average="micro", validate_args=False),
            "f1_macro": MulticlassF1Score(number, average="macro", validate_args=False),
            # 15 bins, as Guo et al. 2017, section 4.
            "calibration_error": MulticlassCalibrationError(number, n_bins=15, validate_args=False),
            "confusion_matrix": MulticlassConfusionMatrix(number, validate_args=False),
        }
        if number > 5:
            metrics["top5_accuracy"] = MulticlassAccuracy(number, top_k=5, average="micro", validate_args=False)
        self.collection = MetricCollection(metrics)
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
        if self._waiting_numbers >= BUFFERED_NUMBERS:
            self._flush()

    def scalars(self) -> dict[str, Tensor]:
        """The numbers of all batches since the last `reset`, each a scalar tensor; empty if there were none."""
        self._flush()
        if not self._seen():
            return {}
        computed: dict[str, Tensor] = self.collection.compute()
        return {name: value for name, value in computed.items() if value.ndim == 0}

    def tables(self) -> dict[str, Table]:
        """``per_class`` (class, images, correct, accuracy) and ``confusion_matrix`` (a row per true class)."""
        self._flush()
        if not self._seen():
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
        self._waiting_numbers = 0
        self.collection.reset()

    def _seen(self) -> bool:
        return bool(self.collection["accuracy"].update_count)

    def _flush(self) -> None:
        if not self._waiting:
            return
        probabilities = torch.cat([p for p, _ in self._waiting]).float()  # (N, K)
        labels = torch.cat([labels for _, labels in self._waiting])  # (N,)
        self._waiting.clear()
        self._waiting_numbers = 0
        self.collection.update(probabilities, labels)


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

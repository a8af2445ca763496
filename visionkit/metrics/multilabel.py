"""Metrics of multi-label classification over a whole split, a torchmetrics collection."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    MultilabelAveragePrecision,
    MultilabelExactMatch,
    MultilabelF1Score,
    MultilabelStatScores,
)
from torchmetrics.functional.classification import multilabel_average_precision
from torchmetrics.utilities.data import dim_zero_cat

from visionkit.metrics.buffered import BufferedMetrics
from visionkit.metrics.table import Table

__all__ = ["MultilabelMetrics"]

# `gather` merges the processes once, instead of synchronising in each `compute`.
_OPTIONS: dict[str, Any] = {"validate_args": False, "sync_on_compute": False}


class MultilabelMetrics(BufferedMetrics):
    """Mean average precision, micro and macro F1, and subset accuracy; per class precision, recall and their kin.

    ``map`` is the mean over the classes that an image of the split has. All but it judge probabilities above 0.5;
    ``subset_accuracy`` is the fraction of images all of whose classes are right.
    """

    max_buffered_values = 1 << 20

    def own_names(self, num_classes: int) -> Collection[str]:
        return {"map", *super().own_names(num_classes)}

    def make_metrics(self, num_classes: int) -> dict[str, Metric | MetricCollection]:
        return {
            "average_precision": _AveragePrecision(num_classes, **_OPTIONS),
            "f1_micro": MultilabelF1Score(num_classes, average="micro", **_OPTIONS),
            "f1_macro": MultilabelF1Score(num_classes, average="macro", **_OPTIONS),
            "subset_accuracy": MultilabelExactMatch(num_classes, **_OPTIONS),
            "counts": MultilabelStatScores(num_classes, average=None, **_OPTIONS),
        }

    def update(self, scores: Tensor, labels: Tensor) -> None:
        super().update(scores, labels.long())

    def scalars(self) -> dict[str, Tensor]:
        scalars = super().scalars()
        scalars.pop("average_precision", None)  # torchmetrics makes a scalar of a single class's
        return {"map": self.collection["average_precision"].compute().nanmean(), **scalars} if scalars else {}

    def tables(self) -> dict[str, Table]:
        """``per_class``: class, images that have it and that are said to, precision, recall, F1, average precision."""
        self._flush()
        if not self._num_images:
            return {}
        counts: list[list[int]] = self.collection["counts"].compute().long().tolist()
        precisions: list[float] = self.collection["average_precision"].compute().reshape(-1).tolist()
        rows = [
            (
                name,
                hits + misses,
                hits + wrong,
                _ratio(hits, hits + wrong),
                _ratio(hits, hits + misses),
                _ratio(2 * hits, 2 * hits + wrong + misses),
                precision if hits + misses else None,
            )
            for name, (hits, wrong, _, misses, _), precision in zip(self.class_names, counts, precisions, strict=True)
        ]
        columns = ("class", "images", "predicted", "precision", "recall", "f1", "average_precision")
        return {"per_class": Table(columns, rows)}


class _AveragePrecision(MultilabelAveragePrecision):
    """The average precision of each class, (K,) float32; NaN where no image has it, of which torchmetrics makes 0."""

    def compute(self) -> Tensor:  # type: ignore[override]
        scores, labels = dim_zero_cat(self.preds), dim_zero_cat(self.target)  # (N, K)
        present = labels.any(dim=0)
        result = torch.full((labels.shape[1],), torch.nan, device=labels.device)
        if bool(present.any()):
            result[present] = multilabel_average_precision(
                scores[:, present], labels[:, present], int(present.sum()), average="none", validate_args=False
            )
        return result


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None

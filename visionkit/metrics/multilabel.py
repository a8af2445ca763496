"""Metrics of multi-label classification over a whole split, a torchmetrics collection."""

from collections.abc import Collection
from typing import Any

import numpy
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
from visionkit.metrics.intervals import interval_scalars, percentile_interval, resample
from visionkit.metrics.table import Table

__all__ = ["MultilabelMetrics", "mean_average_precision"]

_MAX_WEIGHTS = 1 << 24

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

    def update(self, scores: Tensor, labels: Tensor, indices: Tensor | None = None) -> None:
        super().update(scores, labels.long())
        if self.images is not None and indices is not None:
            self.images.update(indices, torch.cat([scores.detach().float(), labels.float()], dim=1))

    def intervals(self) -> dict[str, Tensor]:
        """That of ``map``; see `TaskMetrics.intervals`."""
        own = self.scalars() if self.images is not None and self._num_images > 1 else {}
        if self.images is None or not own:
            return {}
        scores, labels = self.images.compute().chunk(2, dim=1)
        draws = resample(len(scores), work=scores.numel())
        return interval_scalars("map", own["map"], percentile_interval(mean_average_precision(scores, labels, draws)))

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


def mean_average_precision(scores: Tensor, labels: Tensor, draws: Tensor) -> Tensor:
    """The mean over the classes that occur of the average precision, of images that count several times or not.

    Args:
        scores: (N, K) float32.
        labels: (N, K), 1 for the classes of an image, else 0.
        draws: (R, N) uint8, how often each image counts.

    Returns:
        (R,) float64; NaN where no class occurs.
    """
    total, present = (numpy.zeros(len(draws)) for _ in range(2))
    step = max(1, _MAX_WEIGHTS // len(scores))
    for score, label in zip(scores.numpy().T, labels.numpy().T, strict=True):
        order = numpy.argsort(-score, kind="stable")
        hits = numpy.flatnonzero(label[order])
        if not len(hits):
            continue
        # Images of equal scores count together: of each such group with a hit, its end and its last hit.
        ends = numpy.unique(numpy.searchsorted(-score[order], -score[order][hits], side="right")) - 1
        last = numpy.searchsorted(hits, ends, side="right") - 1
        for start in range(0, len(draws), step):
            # NumPy adds up along rows ten times as fast as torch.
            weights = draws[start : start + step].numpy().take(order, axis=1)  # (r, N)
            counted = weights.cumsum(axis=1, dtype=numpy.int32).take(ends, axis=1)
            found = weights.take(hits, axis=1).cumsum(axis=1, dtype=numpy.int32)
            num_hits = found[:, -1]
            found = found.take(last, axis=1)
            gained = numpy.diff(found, axis=1, prepend=0)
            precisions = (gained * (found / counted.clip(min=1))).sum(axis=1) / num_hits.clip(min=1)
            total[start : start + step] += precisions
            present[start : start + step] += num_hits > 0
    with numpy.errstate(invalid="ignore"):
        return torch.from_numpy(total / present)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None

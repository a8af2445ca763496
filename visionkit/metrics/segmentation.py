"""Metrics of semantic segmentation, from torchmetrics' confusion matrix of pixels over a whole split."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix

from visionkit.metrics.base import TaskMetrics, gather_metric
from visionkit.metrics.intervals import bootstrap, interval_scalars
from visionkit.metrics.table import Table, confusion_table

__all__ = ["SegmentationMetrics"]


class SegmentationMetrics(TaskMetrics):
    """Mean intersection over union, pixel accuracy and Dice over a whole split, not a mean over its images.

    IoU is TP / (TP + FP + FN) (Everingham et al. 2015, IJCV, section 4.1.3), Dice 2 TP / (2 TP + FP + FN).

    Args:
        class_names: The K classes, in the order of their ids.
        extra: Metrics of the user's choice by name.
        intervals: Whether `intervals` is wanted.
    """

    def __init__(
        self, class_names: Sequence[str], extra: Mapping[str, Metric] | None = None, *, intervals: bool = False
    ) -> None:
        super().__init__(class_names, extra, intervals=intervals)
        # One class more, for ignored pixels: torchmetrics' ignore_index selects by a mask, which synchronises. It takes
        # 10 ms for 8 masks of 256x256 on a CPU, where a counter of our own took 3.
        self.confusion = MulticlassConfusionMatrix(
            len(self.class_names) + 1, validate_args=False, sync_on_compute=False
        )

    def own_names(self, num_classes: int) -> Collection[str]:
        return ("mean_iou", "pixel_accuracy", "dice")

    def update(self, masks: Tensor, truth: Tensor, indices: Tensor | None = None) -> None:
        """Add one batch.

        Args:
            masks: (B, H, W) uint8, the predicted class of each pixel, 0..K-1.
            truth: (B, H, W) uint8, the true class; pixels of other values, such as 255, are ignored.
            indices: (B,) int64, the index of each image in its split, for intervals.
        """
        if self.images is not None and indices is not None:
            self.images.update(indices, _image_counts(masks, truth, len(self.class_names)))
        self.confusion.update(masks, truth.clamp(max=len(self.class_names)))
        for metric in self.extra.values():
            metric.update(masks, truth)

    def gather(self) -> None:
        super().gather()
        gather_metric(self.confusion)

    def scalars(self) -> dict[str, Tensor]:
        """The metrics of all batches since the last `reset`, scalar tensors; empty without a labelled pixel.

        ``mean_iou`` and ``dice`` are means over the classes that occur in targets or predictions; ``pixel_accuracy`` is
        the fraction of pixels predicted correctly.
        """
        counts = self._counts().double()
        if not counts.any():
            return {}
        iou, dice = _overlaps(counts)
        own = {
            "mean_iou": iou.nanmean(),
            "pixel_accuracy": counts.trace() / counts.sum(),
            "dice": dice.nanmean(),
        }
        return own | super().scalars()

    def intervals(self) -> dict[str, Tensor]:
        """That of ``mean_iou``; see `TaskMetrics.intervals`."""
        own = self.scalars() if self.images is not None else {}
        if self.images is None or not own:
            return {}
        return interval_scalars("mean_iou", own["mean_iou"], bootstrap(self.images.compute(), _mean_iou))

    def tables(self) -> dict[str, Table]:
        """``per_class`` (class, pixels, predicted, IoU, Dice) and ``confusion_matrix`` (a row per true class)."""
        counts = self._counts().cpu()
        if not counts.any():
            return {}
        columns = (
            counts.sum(dim=1).tolist(), counts.sum(dim=0).tolist(),
            *([None if value != value else value for value in overlap.tolist()] for overlap in _overlaps(counts)),
        )  # fmt: skip
        per_class = list(zip(self.class_names, *columns, strict=True))
        return {
            "per_class": Table(("class", "pixels", "predicted", "IoU", "Dice"), per_class),
            "confusion_matrix": confusion_table(self.class_names, counts.tolist()),
        }

    def reset(self) -> None:
        super().reset()
        self.confusion.reset()

    def _counts(self) -> Tensor:
        """The labelled pixels of each true and predicted class, int64 (K, K)."""
        counts: Tensor = self.confusion.confmat[:-1, :-1]
        return counts


def _image_counts(masks: Tensor, truth: Tensor, num_classes: int) -> Tensor:
    """The pixels of each image that are of each class, predicted as it, and both, int32 (B, 3 K)."""
    truth = truth.clamp(max=num_classes).flatten(1).long()  # (B, H * W); the highest for ignored pixels
    masks = torch.where(truth == num_classes, truth, masks.flatten(1).long())
    both = torch.where(truth == masks, truth, num_classes)
    bins = num_classes + 1
    first = torch.arange(len(truth), device=truth.device)[:, None] * bins
    counts = [
        torch.bincount((first + classes).flatten(), minlength=len(truth) * bins).view(-1, bins)[:, :-1]
        for classes in (truth, masks, both)
    ]
    return torch.cat(counts, dim=1).int()


def _mean_iou(sums: Tensor) -> Tensor:
    """The mean IoU of resamples, (R,), from the sums of `_image_counts`, (R, 3 K)."""
    truth, predicted, both = sums.chunk(3, dim=1)
    return (both / (truth + predicted - both)).nanmean(dim=1)


def _overlaps(counts: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and Dice of each class, (K,) each; NaN for a class that neither occurs nor is predicted."""
    counts = counts.double()
    correct, areas = counts.diagonal(), counts.sum(dim=0) + counts.sum(dim=1)
    return correct / (areas - correct), 2 * correct / areas

"""Metrics of semantic segmentation, from one confusion matrix of pixels over a whole split."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from visionkit.distributed.comm import gather_objects
from visionkit.metrics.table import Table

__all__ = ["SegmentationMetrics"]


class SegmentationMetrics(nn.Module):
    """Mean intersection over union, pixel accuracy and Dice over a whole split, not a mean over its images.

    The state is a (K, K) matrix of counts on the device, whatever the size of the split. IoU is TP / (TP + FP + FN)
    (Everingham et al. 2015, IJCV, section 4.1.3), Dice 2 TP / (2 TP + FP + FN).

    Args:
        class_names: The K classes, in the order of their ids.
    """

    counts: Tensor

    def __init__(self, class_names: Sequence[str]) -> None:
        super().__init__()
        self.class_names = tuple(class_names)
        num_classes = len(self.class_names)
        self.register_buffer("counts", torch.zeros((num_classes, num_classes), dtype=torch.int64), persistent=False)

    def update(self, masks: Tensor, truth: Tensor) -> None:
        """Add one batch.

        Args:
            masks: (B, H, W) uint8, the predicted class of each pixel, 0..K-1.
            truth: (B, H, W) uint8, the true class; pixels of other values, such as 255, are ignored.
        """
        num_classes = len(self.class_names)
        pairs = truth.int().mul_(num_classes).add_(masks).masked_fill_(truth >= num_classes, num_classes**2)
        self.counts += torch.bincount(pairs.flatten(), minlength=num_classes**2 + 1)[:-1].view(num_classes, num_classes)

    def gather(self) -> None:
        """Merge the counts of all processes into the first one."""
        gathered = gather_objects(self.counts.cpu())
        self.counts.copy_(torch.stack(gathered).sum(dim=0))

    def scalars(self) -> dict[str, Tensor]:
        """The metrics of all batches since the last `reset`, scalar tensors; empty without a labelled pixel.

        ``mean_iou`` and ``dice`` are means over the classes that occur in targets or predictions; ``pixel_accuracy`` is
        the fraction of pixels predicted correctly.
        """
        counts = self.counts.double()
        if not counts.any():
            return {}
        iou, dice = _overlaps(counts)
        return {
            "mean_iou": iou.nanmean(),
            "pixel_accuracy": counts.trace() / counts.sum(),
            "dice": dice.nanmean(),
        }

    def tables(self) -> dict[str, Table]:
        """``per_class`` (class, pixels, predicted, IoU, Dice) and ``confusion_matrix`` (a row per true class)."""
        counts = self.counts.cpu()
        if not counts.any():
            return {}
        columns = (
            counts.sum(dim=1).tolist(), counts.sum(dim=0).tolist(),
            *([None if value != value else value for value in overlap.tolist()] for overlap in _overlaps(counts)),
        )  # fmt: skip
        rows = counts.tolist()
        return {
            "per_class": Table(
                ("class", "pixels", "predicted", "IoU", "Dice"), list(zip(self.class_names, *columns, strict=True))
            ),
            "confusion_matrix": Table(
                ("true \\ predicted", *self.class_names),
                [(name, *row) for name, row in zip(self.class_names, rows, strict=True)],
            ),
        }

    def reset(self) -> None:
        """Discard all batches."""
        self.counts.zero_()


def _overlaps(counts: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and Dice of each class, (K,) each; NaN for a class that neither occurs nor is predicted."""
    counts = counts.double()
    correct, areas = counts.diagonal(), counts.sum(dim=0) + counts.sum(dim=1)
    return correct / (areas - correct), 2 * correct / areas

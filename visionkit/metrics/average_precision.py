"""torchmetrics' average precision of boxes, with a quicker way into its faster_coco_eval back end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

__all__ = ["BoxAveragePrecision", "STATS"]

STATS = (
    *("map", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"),
)
"""COCO's twelve numbers, in its order and by the names of torchmetrics."""


class BoxAveragePrecision(MeanAveragePrecision):
    """`MeanAveragePrecision` that takes images in any order and tells everything from one evaluation.

    torchmetrics turns each number into a tensor on its way to the back end, and evaluates once more for each class;
    `compute` lays whole arrays out at once. Images are ordered by their ids, since that order decides between equal
    scores: batches of several processes, gathered, give the numbers of one.

    Args:
        num_classes: K; class ids are 0..K-1.
    """

    full_state_update = False
    image_ids: list[Tensor]

    def __init__(self, num_classes: int) -> None:
        super().__init__(backend="faster_coco_eval", sync_on_compute=False)
        self.warn_on_many_detections = False
        self.num_classes = num_classes
        self.add_state("image_ids", default=[], dist_reduce_fx=None)

    def update(self, preds: list[dict[str, Tensor]], target: list[dict[str, Tensor]]) -> None:
        """Take images in.

        Args:
            preds: Per image ``boxes`` (n, 4) xyxy pixels, ``scores`` (n,) and ``labels`` (n,).
            target: Per image ``boxes`` (m, 4), ``labels`` (m,), ``iscrowd`` (m,), ``area`` (m,) square pixels and
                ``image_id`` (), a number of its own.
        """
        super().update(preds, target)
        self.image_ids += [item["image_id"] for item in target]

    def compute(self) -> dict[str, Tensor]:
        """What the COCO protocol says of all images since the last ``reset``.

        Returns:
            Each of `STATS`, a scalar in 0..1; ``precision`` (10, 101, K) at IoU 0.5..0.95 and recall 0..1 of each
            class, boxes of any size, at most 100 of a class in an image; ``objects`` (K,), how many objects of each
            class there are, crowds left out. -1 where there are no such objects.
        """
        from faster_coco_eval import COCO, COCOeval_faster

        ids = torch.stack(self.image_ids).tolist()
        order = sorted(range(len(ids)), key=ids.__getitem__)
        truth = self._columns("groundtruth", ids, order)
        truth["iscrowd"] = _joined(self.groundtruth_crowds, order).long()
        truth["area"] = _joined(self.groundtruth_area, order).double()
        found = self._columns("detection", ids, order)
        found["score"] = _joined(self.detection_scores, order)
        found["area"] = found["bbox"][:, 2] * found["bbox"][:, 3]
        datasets = []
        for columns in (truth, found):
            dataset = COCO()
            dataset.dataset = {
                "images": [{"id": ids[place]} for place in order],
                "categories": [{"id": number} for number in range(self.num_classes)],
                "annotations": _rows(columns),
            }
            dataset.createIndex()
            datasets.append(dataset)
        evaluator = COCOeval_faster(*datasets, iouType="bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
        objects = truth["category_id"][truth["iscrowd"] == 0]
        stats = torch.tensor([float(value) for value in evaluator.stats], dtype=torch.float64)
        return {
            **dict(zip(STATS, stats, strict=True)),
            "precision": torch.as_tensor(evaluator.eval["precision"], dtype=torch.float64)[:, :, :, 0, -1],
            "objects": torch.bincount(objects, minlength=self.num_classes),
        }

    def _columns(self, kind: str, ids: Sequence[int], order: Sequence[int]) -> dict[str, Tensor]:
        boxes: list[Tensor] = getattr(self, f"{kind}_box")
        counts = torch.tensor([len(boxes[place]) for place in order])
        return {
            "image_id": torch.tensor(ids)[list(order)].repeat_interleave(counts),
            "bbox": _joined(boxes, order).double(),
            "category_id": _joined(getattr(self, f"{kind}_labels"), order),
        }


def _joined(parts: Sequence[Tensor], order: Sequence[int]) -> Tensor:
    return torch.cat([parts[place] for place in order]).cpu()


def _rows(columns: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """One mapping per box; COCO's ids begin with 1, since 0 means "not matched" to its evaluation."""
    names = ("id", *columns)
    numbers = range(1, len(columns["image_id"]) + 1)
    values = zip(numbers, *(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(names, row, strict=True)) for row in values]

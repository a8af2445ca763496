"""torchmetrics' average precision of boxes and masks, with a quicker way into its faster_coco_eval back end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from visionkit.structures.rle import pack_masks, unpack_masks

__all__ = ["BoxAveragePrecision", "MaskAveragePrecision", "STATS"]

Columns = dict[str, Any]
"""A column of all objects by its name in COCO's files: a tensor, or a list where it holds no numbers."""

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
            class, objects of any size, at most 100 of a class in an image; ``objects`` (K,), how many objects of each
            class there are, crowds left out. -1 where there are no such objects.
        """
        order, truth, found = self._columns()
        images = [{"id": number} for number in torch.stack(self.image_ids)[order].tolist()]
        return self._evaluated("bbox", images, truth, found)

    def _columns(self) -> tuple[list[int], Columns, Columns]:
        """The places of the images in order of their ids, and the columns of all objects and of all detections."""
        ids = torch.stack(self.image_ids).cpu()
        order = ids.argsort(stable=True)
        columns = []
        for kind in ("groundtruth", "detection"):
            boxes: list[Tensor] = getattr(self, f"{kind}_box")
            counts = torch.tensor([len(boxes[place]) for place in order])
            columns.append(
                {
                    "image_id": ids[order].repeat_interleave(counts),
                    "bbox": _joined(boxes, order).double(),
                    "category_id": _joined(getattr(self, f"{kind}_labels"), order),
                }
            )
        truth, found = columns
        truth["iscrowd"] = _joined(self.groundtruth_crowds, order).long()
        truth["area"] = _joined(self.groundtruth_area, order).double()
        found["score"] = _joined(self.detection_scores, order)
        found["area"] = found["bbox"][:, 2] * found["bbox"][:, 3]
        return order.tolist(), dict(truth), dict(found)

    def _evaluated(self, kind: str, images: list[dict[str, Any]], truth: Columns, found: Columns) -> dict[str, Tensor]:
        from faster_coco_eval import COCO, COCOeval_faster

        datasets = []
        for columns in (truth, found):
            dataset = COCO()
            dataset.dataset = {
                "images": images,
                "categories": [{"id": number} for number in range(self.num_classes)],
                "annotations": _rows(columns),
            }
            dataset.createIndex()
            datasets.append(dataset)
        evaluator = COCOeval_faster(*datasets, iouType=kind)
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


class MaskAveragePrecision(BoxAveragePrecision):
    """The same of masks, and of their boxes beside them.

    Masks are kept as bytes, the run lengths of an image's objects in one tensor, so that they travel as boxes do.

    Args:
        num_classes: K; class ids are 0..K-1.
    """

    detection_runs: list[Tensor]
    groundtruth_runs: list[Tensor]
    image_sizes: list[Tensor]

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        for name in ("detection_runs", "groundtruth_runs", "image_sizes"):
            self.add_state(name, default=[], dist_reduce_fx=None)

    def update(self, preds: list[dict[str, Any]], target: list[dict[str, Any]]) -> None:
        """Take images in.

        Args:
            preds: As for boxes, and ``masks``, n of `visionkit.structures.rle.RunLengths`.
            target: As for boxes, and ``masks``, and ``size`` (2,) int64, height and width of the image.
        """
        super().update(preds, target)
        self.detection_runs += [pack_masks(item["masks"]) for item in preds]
        self.groundtruth_runs += [pack_masks(item["masks"]) for item in target]
        self.image_sizes += [item["size"] for item in target]

    def compute(self) -> dict[str, Tensor]:
        """What the COCO protocol says of masks, by the names of `BoxAveragePrecision.compute`; ``box_...`` of boxes."""
        from pycocotools import mask

        order, truth, found = self._columns()
        sizes = [self.image_sizes[place].tolist() for place in order]
        ids = torch.stack(self.image_ids)[order].tolist()
        images = [{"id": number, "height": h, "width": w} for number, (h, w) in zip(ids, sizes, strict=True)]
        boxes = self._evaluated("bbox", images, truth, found)
        for columns, runs in ((truth, self.groundtruth_runs), (found, self.detection_runs)):
            columns["segmentation"] = [
                one for place, size in zip(order, sizes, strict=True) for one in unpack_masks(runs[place], size)
            ]
        found["area"] = torch.tensor([float(mask.area(runs)) for runs in found["segmentation"]])
        masks = self._evaluated("segm", images, truth, found)
        return {**masks, **{f"box_{name}": value for name, value in boxes.items()}}


def _joined(parts: Sequence[Tensor], order: Tensor) -> Tensor:
    return torch.cat([parts[place] for place in order]).cpu()


def _rows(columns: Columns) -> list[dict[str, Any]]:
    """One mapping per object; COCO's ids begin with 1, since 0 means "not matched" to its evaluation."""
    names = ("id", *columns)
    numbers = range(1, len(columns["image_id"]) + 1)
    lists = (column.tolist() if isinstance(column, Tensor) else column for column in columns.values())
    return [dict(zip(names, row, strict=True)) for row in zip(numbers, *lists, strict=True)]

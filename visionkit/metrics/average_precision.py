"""torchmetrics' average precision of boxes and masks, with a faster path into its faster_coco_eval back end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from visionkit.metrics.intervals import interval_scalars, percentile_interval, resample
from visionkit.metrics.matches import match_detections, mean_average_precision
from visionkit.structures.rle import pack_masks, unpack_masks

__all__ = ["BoxAveragePrecision", "MaskAveragePrecision", "STATS"]

Columns = dict[str, Any]
"""The objects of all images by COCO's keys: for each key a tensor or a list with one entry per object."""

STATS = (
    *("map", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"),
)
"""COCO's twelve metrics, in its order and with torchmetrics' names."""


class BoxAveragePrecision(MeanAveragePrecision):
    """`MeanAveragePrecision` independent of the order of images, with the metrics of all classes from one evaluation.

    torchmetrics converts every value to a tensor on its way to the back end and evaluates again for each class;
    `compute` converts whole columns and evaluates once. Images are sorted by id, because their order breaks ties
    between equal scores: images gathered from several processes give the metrics of a single one.

    Args:
        num_classes: K; class ids are 0..K-1.
        intervals: Whether `compute` adds the 95 % interval of ``map``, as ``map_low`` and ``map_high``.
    """

    full_state_update = False
    image_ids: list[Tensor]

    def __init__(self, num_classes: int, *, intervals: bool = False) -> None:
        super().__init__(backend="faster_coco_eval", sync_on_compute=False)
        self.warn_on_many_detections = False
        self.num_classes, self.intervals = num_classes, intervals
        self.add_state("image_ids", default=[], dist_reduce_fx=None)

    def update(self, preds: list[dict[str, Tensor]], target: list[dict[str, Tensor]]) -> None:
        """Add images.

        Args:
            preds: Per image ``boxes`` (n, 4) xyxy pixels, ``scores`` (n,) and ``labels`` (n,).
            target: Per image ``boxes`` (m, 4), ``labels`` (m,), ``iscrowd`` (m,), ``area`` (m,) square pixels and
                ``image_id`` (), unique.
        """
        super().update(preds, target)
        self.image_ids += [item["image_id"] for item in target]

    def compute(self) -> dict[str, Tensor]:
        """COCO's metrics of all images since the last ``reset``.

        Returns:
            Each of `STATS`, a scalar in 0..1; ``precision`` (10, 101, K) at IoU 0.5..0.95 and recall 0..1 of each
            class, objects of any size, at most 100 detections of a class per image; ``objects`` (K,), the number of
            objects of each class without crowds. -1 where there are no such objects.
        """
        order, targets, detections = self._columns()
        images = [{"id": image_id} for image_id in torch.stack(self.image_ids)[order].tolist()]
        return self._evaluate("bbox", images, targets, detections)

    def _columns(self) -> tuple[list[int], Columns, Columns]:
        """The indices of the images sorted by id, the columns of all target objects and those of all detections."""
        ids = torch.stack(self.image_ids).cpu()
        order = ids.argsort(stable=True)
        columns = []
        for kind in ("groundtruth", "detection"):
            boxes: list[Tensor] = getattr(self, f"{kind}_box")
            counts = torch.tensor([len(boxes[index]) for index in order])
            columns.append(
                {
                    "image_id": ids[order].repeat_interleave(counts),
                    "bbox": _concatenate(boxes, order).double(),
                    "category_id": _concatenate(getattr(self, f"{kind}_labels"), order),
                }
            )
        targets, detections = columns
        targets["iscrowd"] = _concatenate(self.groundtruth_crowds, order).long()
        targets["area"] = _concatenate(self.groundtruth_area, order).double()
        detections["score"] = _concatenate(self.detection_scores, order)
        detections["area"] = detections["bbox"][:, 2] * detections["bbox"][:, 3]
        return order.tolist(), dict(targets), dict(detections)

    def _evaluate(
        self, iou_type: str, images: list[dict[str, Any]], targets: Columns, detections: Columns
    ) -> dict[str, Tensor]:
        from faster_coco_eval import COCO, COCOeval_faster

        datasets = []
        for columns in (targets, detections):
            dataset = COCO()
            dataset.dataset = {
                "images": images,
                "categories": [{"id": class_id} for class_id in range(self.num_classes)],
                "annotations": _rows(columns),
            }
            dataset.createIndex()
            datasets.append(dataset)
        evaluator = COCOeval_faster(*datasets, iouType=iou_type)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
        objects = targets["category_id"][targets["iscrowd"] == 0]
        image_ids = [image["id"] for image in images]
        stats = torch.tensor([float(value) for value in evaluator.stats], dtype=torch.float64)
        return {
            **dict(zip(STATS, stats, strict=True)),
            "precision": torch.as_tensor(evaluator.eval["precision"], dtype=torch.float64)[:, :, :, 0, -1],
            "objects": torch.bincount(objects, minlength=self.num_classes),
            **(self._interval(evaluator.ious, image_ids, targets, detections, stats[0]) if self.intervals else {}),
        }

    def _interval(
        self, ious: Any, image_ids: list[int], targets: Columns, detections: Columns, value: Tensor
    ) -> dict[str, Tensor]:
        """``map_low`` and ``map_high`` around the value; empty of fewer than two images or without objects."""
        if len(image_ids) < 2 or value < 0:
            return {}
        matches = match_detections(ious, targets, detections, image_ids=image_ids, num_classes=self.num_classes)
        draws = resample(len(image_ids), work=2 * len(matches.images))
        return interval_scalars("map", value, percentile_interval(mean_average_precision(matches, draws)))


class MaskAveragePrecision(BoxAveragePrecision):
    """Average precision of masks and of their boxes.

    The run lengths of an image's masks are kept as bytes in one tensor, so that they are gathered like boxes.

    Args:
        num_classes: K; class ids are 0..K-1.
        intervals: As for `BoxAveragePrecision`.
    """

    detection_runs: list[Tensor]
    groundtruth_runs: list[Tensor]
    image_sizes: list[Tensor]

    def __init__(self, num_classes: int, *, intervals: bool = False) -> None:
        super().__init__(num_classes, intervals=intervals)
        for name in ("detection_runs", "groundtruth_runs", "image_sizes"):
            self.add_state(name, default=[], dist_reduce_fx=None)

    def update(self, preds: list[dict[str, Any]], target: list[dict[str, Any]]) -> None:
        """Add images.

        Args:
            preds: As for boxes, with ``masks``, n `visionkit.structures.rle.RunLengths`.
            target: As for boxes, with ``masks``, and ``size`` (2,) int64, height and width of the image.
        """
        super().update(preds, target)
        self.detection_runs += [pack_masks(item["masks"]) for item in preds]
        self.groundtruth_runs += [pack_masks(item["masks"]) for item in target]
        self.image_sizes += [item["size"] for item in target]

    def compute(self) -> dict[str, Tensor]:
        """As `BoxAveragePrecision.compute`, of masks; with the prefix ``box_`` of boxes."""
        from pycocotools import mask

        order, targets, detections = self._columns()
        sizes = [self.image_sizes[index].tolist() for index in order]
        ids = torch.stack(self.image_ids)[order].tolist()
        images = [
            {"id": image_id, "height": height, "width": width}
            for image_id, (height, width) in zip(ids, sizes, strict=True)
        ]
        boxes = self._evaluate("bbox", images, targets, detections)
        for columns, runs in ((targets, self.groundtruth_runs), (detections, self.detection_runs)):
            columns["segmentation"] = [
                rle for index, size in zip(order, sizes, strict=True) for rle in unpack_masks(runs[index], size)
            ]
        detections["area"] = torch.tensor([float(mask.area(rle)) for rle in detections["segmentation"]])
        masks = self._evaluate("segm", images, targets, detections)
        return {**masks, **{f"box_{name}": value for name, value in boxes.items()}}


def _concatenate(parts: Sequence[Tensor], order: Tensor) -> Tensor:
    return torch.cat([parts[index] for index in order]).cpu()


def _rows(columns: Columns) -> list[dict[str, Any]]:
    """One dict per object; ids begin at 1, since 0 means "not matched" to COCO's evaluation."""
    names = ("id", *columns)
    ids = range(1, len(columns["image_id"]) + 1)
    lists = (column.tolist() if isinstance(column, Tensor) else column for column in columns.values())
    return [dict(zip(names, row, strict=True)) for row in zip(ids, *lists, strict=True)]

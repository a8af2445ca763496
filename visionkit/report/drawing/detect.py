"""Plots of detection: images with boxes and, if present, masks; precision over recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from torchvision.ops import box_iou

from visionkit.report.boxes import DrawnBox, class_colour, plot_boxes
from visionkit.report.drawing.base import Drawing
from visionkit.report.style import ERROR_COLOUR, TRAIN, VALIDATION
from visionkit.structures.rle import encode_masks, mask_iou

__all__ = ["MIN_SCORE", "DetectDrawing", "drawn_boxes", "select"]

MIN_SCORE = 0.3
MIN_IOU = 0.5

Objects = Mapping[str, Any]
"""The objects of one image: ``boxes`` (n, 4) xyxy in its pixels, ``labels`` (n,), in predictions ``scores`` (n,), and
optionally ``masks``, n `visionkit.structures.rle.RunLengths`."""


class DetectDrawing(Drawing):
    """Ground truth beside predictions, coloured by whether they match; precision over recall."""

    num_examples = 12
    objects: ClassVar[str] = "boxes"
    """What the IoU is computed of, for titles."""

    def batch(self, batch: Mapping[str, Any], class_names: Sequence[str], path: Path) -> None:
        panels = []
        for i, (height, width) in enumerate(batch["image_sizes"][: self.num_examples].tolist()):
            present = batch["labels"][i] >= 0
            objects = {name: batch[name][i][present] for name in ("boxes", "labels")}
            if "masks" in batch:
                objects["masks"] = encode_masks(batch["masks"][i][present, :height, :width])
            panels.append((batch["images"][i, :, :height, :width], drawn_boxes(objects, class_names)))
        plot_boxes(panels, path, title="first training batch")

    def tables(self, tables: Mapping[str, Any], class_names: Sequence[str], plots: Path) -> None:
        from visionkit.report.plots.precision_recall import plot_precision_recall

        if "precision_recall" in tables:
            recall, mean, *curves = cast(Any, zip(*tables["precision_recall"].rows, strict=True))
            classes = dict(zip(class_names, curves, strict=True))
            title = f"precision over recall, {self.objects} that overlap by half"
            plot_precision_recall(recall, mean, classes, plots / "precision_recall.png", title=title)

    def examples(self, examples: Sequence[Mapping[str, Any]], class_names: Sequence[str], path: Path) -> None:
        panels = []
        for example in examples:
            image, truth, prediction = example["image"], example["truth"], example["prediction"]
            prediction = select(prediction, prediction["scores"] >= MIN_SCORE)
            correct, detected = _matches(prediction, truth)
            crowds = [DrawnBox(box, "crowd", TRAIN) for box in truth["crowd"].tolist()]
            panels += [
                (image, crowds + drawn_boxes(truth, class_names, correct=detected)),
                (image, drawn_boxes(prediction, class_names, correct=correct)),
            ]
        if panels:
            title = f"validation images, {self.objects} with a score of {MIN_SCORE} or more; "
            title += "red: missed, or found and not there"
            plot_boxes(panels, path, title=title, headings=("truth", "found") * 2)


def select(objects: Objects, keep: Tensor) -> dict[str, Any]:
    """The objects selected by a bool tensor (n,)."""
    return {
        name: value[keep] if isinstance(value, Tensor) else list(compress(value, keep.tolist()))
        for name, value in objects.items()
    }


def drawn_boxes(
    objects: Objects, class_names: Sequence[str], *, correct: Sequence[bool] | None = None
) -> list[DrawnBox]:
    """Boxes labelled with class and score, the highest on top; coloured by class, or by ``correct`` if given."""
    labels = objects["labels"].tolist()
    scores = [f" {score:.0%}" for score in objects["scores"].tolist()] if "scores" in objects else [""] * len(labels)
    colours = [class_colour(label) for label in labels]
    if correct is not None:
        colours = [VALIDATION if is_correct else ERROR_COLOUR for is_correct in correct]
    boxes, masks = objects["boxes"].tolist(), objects.get("masks", [None] * len(labels))
    drawn = [
        DrawnBox(box, f"{class_names[label]}{score}", colour, mask)
        for box, label, score, colour, mask in zip(boxes, labels, scores, colours, masks, strict=True)
    ]
    return drawn[::-1]


def _matches(prediction: Objects, truth: Objects) -> tuple[list[bool], list[bool]]:
    """Which predictions are correct and which objects detected.

    In their order, highest score first, predictions are matched to the free object of their class with the largest IoU,
    at least `MIN_IOU`.
    """
    correct, detected = [False] * len(prediction["labels"]), [False] * len(truth["labels"])
    if "masks" in prediction:
        iou = mask_iou(prediction["masks"], truth["masks"])
    else:
        iou = box_iou(prediction["boxes"], truth["boxes"])
    overlaps = torch.where(prediction["labels"][:, None] == truth["labels"], iou, 0.0).tolist()
    for position, row in enumerate(overlaps):
        free = [(overlap, index) for index, overlap in enumerate(row) if overlap >= MIN_IOU and not detected[index]]
        if free:
            correct[position] = detected[max(free)[1]] = True
    return correct, detected

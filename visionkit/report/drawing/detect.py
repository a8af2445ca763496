"""Plots of detection: images with boxes and, if present, masks; precision over recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from PIL import Image
from torch import Tensor
from torchvision.ops import box_iou

from visionkit.metric_names import split_title
from visionkit.report.boxes import DrawnBox, draw_boxes, plot_boxes
from visionkit.report.drawing.base import Drawing
from visionkit.report.palette import class_colour
from visionkit.report.style import TRAIN, class_legend, count_title
from visionkit.structures.rle import encode_masks, mask_iou
from visionkit.text import count_of

__all__ = ["MAX_DRAWN", "MIN_SCORE", "DetectDrawing", "draw_objects", "drawn_boxes", "objects_title", "with_score"]

MIN_SCORE = 0.3
"""Objects with a lower score are not drawn, unless ``predict`` is given another ``min_score``."""
MAX_DRAWN = 30
"""Of the predicted objects of an image, those with the highest scores are drawn."""
MIN_IOU = 0.5

Objects = Mapping[str, Any]
"""The objects of one image: ``boxes`` (n, 4) xyxy in its pixels, ``labels`` (n,), in predictions ``scores`` (n,), and
optionally ``masks``, n `visionkit.structures.rle.RunLengths`."""


class DetectDrawing(Drawing):
    """Ground truth beside predictions in the colours of their classes, mistakes in dashes; precision over recall."""

    num_examples = max_batch = 12
    objects: ClassVar[str] = "boxes"
    """What the IoU is computed of, for titles."""

    def batch(self, batch: Mapping[str, Any], class_names: Sequence[str], path: Path, *, num_images: int) -> None:
        panels, labels = [], []
        for i, (height, width) in enumerate(batch["image_sizes"].tolist()):
            present = batch["labels"][i] >= 0
            objects = {name: batch[name][i][present] for name in ("boxes", "labels")}
            if "masks" in batch:
                objects["masks"] = encode_masks(batch["masks"][i][present, :height, :width])
            panels.append((batch["images"][i, :, :height, :width], drawn_boxes(objects, class_names)))
            labels += objects["labels"].tolist()
        count = count_title(len(panels), num_images, "images")
        title = f"{split_title('train')}, first batch: truth of {count}"
        plot_boxes(panels, path, title=title, legend=class_legend(labels, class_names))

    def tables(self, tables: Mapping[str, Any], class_names: Sequence[str], plots: Path, *, split: str) -> None:
        from visionkit.report.plots.precision_recall import plot_precision_recall

        if "precision_recall" in tables:
            recall, mean, *curves = cast(Any, zip(*tables["precision_recall"].rows, strict=True))
            classes = dict(zip(class_names, curves, strict=True))
            title = f"{split_title(split)}: precision over recall of {self.objects} that overlap by half or more"
            plot_precision_recall(recall, mean, classes, plots / "precision_recall.png", title=title)

    def examples(
        self, examples: Sequence[Mapping[str, Any]], class_names: Sequence[str], path: Path, *, split: str
    ) -> None:
        rows, labels, num_hidden = [], [], 0
        for example in examples:
            truth, prediction = example["truth"], example["prediction"]
            prediction = with_score(prediction, MIN_SCORE)
            correct, detected = _matches(prediction, truth)
            shown = _first(prediction, MAX_DRAWN)
            num_hidden += len(correct) - len(shown["labels"])
            labels += truth["labels"].tolist() + shown["labels"].tolist()
            crowds = [DrawnBox(box, "crowd", TRAIN) for box in truth["crowd"].tolist()]
            true_boxes = drawn_boxes(truth, class_names, correct=detected) + crowds
            found = drawn_boxes(shown, class_names, correct=correct[: len(shown["labels"])])
            rows.append((_f1(correct, detected), [(example["image"], true_boxes), (example["image"], found)]))
        if rows:
            rows.sort(key=lambda row: row[0])
            title = f"{split_title(split)}: {count_of(len(rows), 'image')}, the worst first; {self.objects} with a "
            title += f"score of {MIN_SCORE:g} or more{_hidden_title(num_hidden)}"
            plot_boxes(
                [panel for _, panels in rows for panel in panels],
                path,
                title=title,
                headings=("truth (dashed: missed)", "found (dashed: not there)"),
                legend=class_legend(labels, class_names),
            )


def draw_objects(
    image: Any,
    objects: Objects,
    class_names: Sequence[str],
    *,
    kind: str = "boxes",
    min_score: float = MIN_SCORE,
    reduced: int = 1,
) -> Image.Image:
    """An image with the predicted objects of the highest scores, a caption and a legend.

    Args:
        image: (C, H, W) uint8, a tensor or an array.
        objects: Those `with_score`, the highest first.
        class_names: The classes.
        kind: What they are called in the caption.
        min_score: The least score of the objects, for the caption.
        reduced: The pixels of the original, along a side, for each of the image.
    """
    shown = _first(objects, MAX_DRAWN)
    drawn, total = drawn_boxes(shown, class_names), len(objects["labels"])
    caption = objects_title(len(drawn), total, objects=kind, min_score=min_score)
    legend = class_legend(shown["labels"].tolist(), class_names)
    return draw_boxes(image, drawn, caption=caption, legend=legend, reduced=reduced)


def objects_title(num_drawn: int, total: int, *, objects: str, min_score: float) -> str:
    """What a picture of predicted objects shows: how many of which score, and how many are left out."""
    count = count_title(num_drawn, total, objects)
    highest = f" (the {MAX_DRAWN} of highest score are drawn)" if num_drawn < total else ""
    return f"{count} with a score of {min_score:g} or more{highest}"


def with_score(objects: Objects, min_score: float) -> dict[str, Any]:
    """The predicted objects of at least this score."""
    keep = objects["scores"] >= min_score
    return {
        name: value[keep] if isinstance(value, Tensor) else list(compress(value, keep.tolist()))
        for name, value in objects.items()
    }


def drawn_boxes(
    objects: Objects, class_names: Sequence[str], *, correct: Sequence[bool] | None = None
) -> list[DrawnBox]:
    """Boxes in the colours of their classes, labelled with class and score; dashed where not ``correct``, if given."""
    labels = objects["labels"].tolist()
    scores = [f" {score:.0%}" for score in objects["scores"].tolist()] if "scores" in objects else [""] * len(labels)
    is_correct = [True] * len(labels) if correct is None else correct
    boxes, masks = objects["boxes"].tolist(), objects.get("masks", [None] * len(labels))
    return [
        DrawnBox(box, f"{class_names[label]}{score}", class_colour(label), mask, dashed=not right)
        for box, label, score, right, mask in zip(boxes, labels, scores, is_correct, masks, strict=True)
    ]


def _first(objects: Objects, count: int) -> dict[str, Any]:
    return {name: value[:count] for name, value in objects.items()}


def _hidden_title(num_hidden: int) -> str:
    return f", at most {MAX_DRAWN} per image ({num_hidden:,} left out)" if num_hidden else ""


def _f1(correct: Sequence[bool], detected: Sequence[bool]) -> float:
    """F1 of an image; 1 where there is nothing to find and nothing was found."""
    total = len(correct) + len(detected)
    return 2 * sum(correct) / total if total else 1.0


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

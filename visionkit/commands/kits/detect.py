"""Detection in the commands: boxes on images, with masks if there are some, and a file in COCO's form of results."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from visionkit.commands.kits.base import Results, TaskKit, autocast, some_images
from visionkit.files import write_atomic
from visionkit.inference.options import PredictOptions
from visionkit.metrics.table import Table
from visionkit.report.boxes import DrawnBox, class_colour, plot_boxes, write_boxes
from visionkit.report.style import TRAIN, VALIDATION, WRONG
from visionkit.structures.boxes import rescale_boxes
from visionkit.structures.rle import encode_masks, mask_iou, paste_masks

__all__ = ["DetectKit"]

PICTURES = 12
SHOWN = 20
MIN_SCORE = 0.3
OVERLAP = 0.5

Objects = dict[str, Any]
"""The objects of one image on the CPU: ``boxes`` (n, 4) xyxy in its pixels, ``labels`` (n,), and of those that were
found ``scores`` (n,); where they have masks, ``masks``, n of `visionkit.structures.rle.RunLengths`."""


class DetectKit(TaskKit):
    """Boxes, precision over recall, annotated images and ``predictions.json``."""

    files = ("predictions.json", "images")
    at_once = 16
    things: ClassVar[str] = "boxes"

    def draw_batch(self, batch: Mapping[str, Tensor], class_names: Sequence[str], path: Path) -> None:
        panels = []
        for i, (height, width) in enumerate(batch["image_sizes"][:PICTURES].tolist()):
            there = batch["labels"][i] >= 0
            objects: Objects = {name: batch[name][i][there] for name in ("boxes", "labels")}
            if "masks" in batch:
                objects["masks"] = encode_masks(batch["masks"][i][there, :height, :width])
            panels.append((batch["images"][i, :, :height, :width], _marks(objects, class_names)))
        plot_boxes(panels, path, title="first training batch")

    def draw_tables(self, tables: Mapping[str, Table], class_names: Sequence[str], plots: Path) -> None:
        from visionkit.report.plots import plot_precision_recall

        if "precision_recall" in tables:
            recall, mean, *lines = cast(Any, zip(*tables["precision_recall"].rows, strict=True))
            classes = dict(zip(class_names, lines, strict=True))
            title = f"precision over recall, {self.things} that overlap by half"
            plot_precision_recall(recall, mean, classes, plots / "precision_recall.png", title=title)

    def draw_predictions(
        self, model: Any, samples: Any, preprocess: Any, class_names: Sequence[str], path: Path
    ) -> None:
        model.eval()
        panels = []
        for position, image in some_images(samples, PICTURES):
            (found,) = _detect(model, preprocess, [preprocess.fit(image)], [image.shape[1:]])
            found = _select(found, found["scores"] >= MIN_SCORE)
            annotation = samples.annotation(position)
            crowds = [DrawnBox(box, "crowd", TRAIN) for box in annotation.boxes[annotation.crowd].tolist()]
            truth = _truth(annotation.select(~annotation.crowd), image.shape[1:], masks="masks" in found)
            right, seen = _matches(found, truth)
            panels += [
                (image, crowds + _marks(truth, class_names, right=seen)),
                (image, _marks(found, class_names, right=right)),
            ]
        if panels:
            title = f"validation images, {self.things} with a score of {MIN_SCORE} or more; "
            title += "red: missed, or found and not there"
            plot_boxes(panels, path, title=title, headings=("truth", "found") * 2)

    def results(
        self, model: Any, preprocess: Any, data: Mapping[str, Any], *, target: Path, paths: Sequence[Path],
        precision: str, options: PredictOptions,
    ) -> Results:  # fmt: skip
        options.allow("min_score", because="this run looks at each image as a whole.")
        shown = MIN_SCORE if options.min_score is None else options.min_score
        return _Detections(
            model,
            preprocess,
            data,
            target=target,
            paths=paths,
            precision=precision,
            min_score=shown,
            things=self.things,
        )


class _Detections(Results):
    """A row per box, as in COCO's results files, and a picture per image."""

    def __init__(
        self, model: Any, preprocess: Any, data: Mapping[str, Any], *, target: Path, paths: Sequence[Path],
        precision: str, min_score: float, things: str,
    ) -> None:  # fmt: skip
        self.things = things
        self.model, self.preprocess, self.precision, self.min_score = model, preprocess, precision, min_score
        self.target, self.names = target, data["class_names"]
        self.categories = data.get("category_ids") or list(range(len(self.names)))
        self.numbers = _image_ids(paths)
        self.above = Path(os.path.commonpath([path.absolute().parent for path in paths]))
        self.rows = []
        self.seen: dict[Path, Counter[str]] = {}

    def prepare(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return image, self.preprocess.fit(image)

    def take(self, paths: Sequence[Path], prepared: Sequence[tuple[Tensor, Tensor]]) -> None:
        fitted, sizes = [fit for _, fit in prepared], [image.shape[1:] for image, _ in prepared]
        batch = _detect(self.model, self.preprocess, fitted, sizes, precision=self.precision)
        for path, (image, _), found in zip(paths, prepared, batch, strict=True):
            self.rows += self._rows(path, found)
            shown = _select(found, found["scores"] >= self.min_score)
            self.seen[path] = Counter(self.names[label] for label in shown["labels"].tolist())
            write_boxes(image, _marks(shown, self.names), self.target / "images" / self._picture(path))

    def write(self) -> None:
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in self.rows)
        write_atomic(self.target / "predictions.json", f"[\n{lines}\n]\n" if lines else "[]\n")

    def lines(self) -> list[str]:
        total: Counter[str] = sum(self.seen.values(), Counter())
        return [
            *(f"{path}: {_counts(counter)}" for path, counter in list(self.seen.items())[:SHOWN]),
            *([f"... and {len(self.seen) - SHOWN:,} more"] if len(self.seen) > SHOWN else []),
            f"{len(self.seen):,} images, {self.things} with a score of {self.min_score:g} or more: {_counts(total)}",
            f"{len(self.rows):,} {self.things} of any score are in predictions.json",
        ]

    def _rows(self, path: Path, found: Objects) -> list[dict[str, Any]]:
        boxes, labels, scores = (found[name].tolist() for name in ("boxes", "labels", "scores"))
        segmentations = [{"segmentation": mask} for mask in found["masks"]] if "masks" in found else [{}] * len(labels)
        return [
            {
                "image_id": self.numbers[path],
                "file_name": str(path),
                "category_id": self.categories[label],
                "category_name": self.names[label],
                "bbox": [round(value, 3) for value in (left, top, right - left, bottom - top)],
                "score": round(score, 6),
                **segmentation,
            }
            for (left, top, right, bottom), label, score, segmentation in zip(
                boxes, labels, scores, segmentations, strict=True
            )
        ]

    def _picture(self, path: Path) -> Path:
        """Where below ``images/`` an image goes: as it lies below the folder that all share."""
        inner = path.absolute().relative_to(self.above)
        return inner if inner.suffix.lower() in (".jpg", ".jpeg", ".png") else inner.with_name(f"{inner.name}.png")


@torch.inference_mode()
def _detect(
    model: Any, preprocess: Any, fitted: Sequence[Tensor], sizes: Sequence[Sequence[int]], *, precision: str = "32"
) -> list[Objects]:
    """What a model finds in each image, in pixels of the original."""
    device = next(model.parameters()).device
    images, image_sizes = (tensor.to(device) for tensor in preprocess.pad_batch(fitted))
    with autocast(device, precision):
        found = model.predict(model(images, image_sizes), image_sizes)
    original = torch.tensor([tuple(size) for size in sizes], device=device)
    found = {**found, "boxes": rescale_boxes(found["boxes"].float(), image_sizes, original)}
    found = {name: (value.float() if value.is_floating_point() else value).cpu() for name, value in found.items()}
    batch: list[Objects] = []
    for i, (height, width) in enumerate(sizes):
        objects: Objects = {name: value[i][found["labels"][i] >= 0] for name, value in found.items()}
        if "mask_logits" in objects:
            objects["masks"] = paste_masks(objects.pop("mask_logits"), objects["boxes"], (height, width))
        batch.append(objects)
    return batch


def _truth(annotation: Any, size: Sequence[int], *, masks: bool) -> Objects:
    """What is annotated in an image of a height and width."""
    objects: Objects = {"boxes": annotation.boxes, "labels": annotation.labels}
    return {**objects, "masks": annotation.runs(*size)} if masks else objects


def _select(objects: Objects, keep: Tensor) -> Objects:
    """The objects that a mask, bool (n,), chooses."""
    return {
        name: value[keep] if isinstance(value, Tensor) else list(compress(value, keep.tolist()))
        for name, value in objects.items()
    }


def _marks(found: Objects, class_names: Sequence[str], *, right: Sequence[bool] | None = None) -> list[DrawnBox]:
    """Boxes with class and score, the best on top; coloured by class, or by whether they are ``right``."""
    labels = found["labels"].tolist()
    scores = [f" {score:.0%}" for score in found["scores"].tolist()] if "scores" in found else [""] * len(labels)
    colours = [class_colour(label) for label in labels]
    if right is not None:
        colours = [VALIDATION if hit else WRONG for hit in right]
    masks = found.get("masks", [None] * len(labels))
    marks = [
        DrawnBox(box, f"{class_names[label]}{score}", colour, mask)
        for box, label, score, colour, mask in zip(found["boxes"].tolist(), labels, scores, colours, masks, strict=True)
    ]
    return marks[::-1]


def _matches(found: Objects, truth: Objects) -> tuple[list[bool], list[bool]]:
    """Which boxes are right and which objects found: each box, best first, takes the free object it covers most."""
    from torchvision.ops import box_iou

    right, seen = [False] * len(found["labels"]), [False] * len(truth["labels"])
    iou = mask_iou(found["masks"], truth["masks"]) if "masks" in found else box_iou(found["boxes"], truth["boxes"])
    overlaps = torch.where(found["labels"][:, None] == truth["labels"], iou, 0.0).tolist()
    for place, row in enumerate(overlaps):
        free = [(overlap, number) for number, overlap in enumerate(row) if overlap >= OVERLAP and not seen[number]]
        if free:
            right[place] = seen[max(free)[1]] = True
    return right, seen


def _image_ids(paths: Sequence[Path]) -> dict[Path, int]:
    """COCO's own images are named by their ids; others are counted from 1."""
    stems = [path.stem for path in paths]
    if all(stem.isdecimal() for stem in stems) and len({int(stem) for stem in stems}) == len(stems):
        return {path: int(path.stem) for path in paths}
    return {path: number for number, path in enumerate(paths, start=1)}


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in counter.most_common()) or "none"

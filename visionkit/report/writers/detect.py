"""Result files of detection: annotated images, and boxes in COCO's results format."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from visionkit.files import write_atomic
from visionkit.report.boxes import write_boxes
from visionkit.report.drawing.detect import MAX_DRAWN, MIN_SCORE, drawn_boxes, objects_title, select
from visionkit.report.style import class_legend
from visionkit.report.writers.base import MAX_SUMMARY_ROWS, ResultWriter, common_folder, picture_name, relative_name
from visionkit.text import json_text

__all__ = ["DetectWriter"]


class DetectWriter(ResultWriter):
    """A row per box, and an annotated image with the boxes of the highest scores."""

    files = ("predictions.json", "images")
    objects: ClassVar[str] = "boxes"

    def __init__(
        self, folder: Path, data: Mapping[str, Any], paths: Sequence[Path], *, min_score: float | None = None
    ) -> None:
        super().__init__(folder, data, paths, min_score=min_score)
        self.drawn_score = MIN_SCORE if min_score is None else min_score
        self.categories = data.get("category_ids") or list(range(len(self.class_names)))
        self.image_ids = _image_ids(paths, data.get("image_ids", {}))
        self.shared_folder = common_folder(paths)
        self.counts: dict[Path, Counter[str]] = {}

    def add(self, path: Path, image: Any, prediction: Mapping[str, Any], *, reduced: int = 1) -> None:
        self.num_reduced += reduced > 1
        self.rows += self._rows(path, prediction)
        shown = select(prediction, prediction["scores"] >= self.drawn_score)
        self.counts[path] = Counter(self.class_names[label] for label in shown["labels"].tolist())
        drawn, total = drawn_boxes(shown, self.class_names)[:MAX_DRAWN], len(shown["labels"])
        write_boxes(
            image,
            drawn,
            self.folder / "images" / picture_name(relative_name(path, self.shared_folder)),
            caption=objects_title(len(drawn), total, objects=self.objects, min_score=self.drawn_score),
            legend=class_legend(shown["labels"][:MAX_DRAWN].tolist(), self.class_names),
            reduced=reduced,
        )

    def write(self) -> None:
        lines = ",\n".join(json_text(row) for row in self.rows)
        write_atomic(self.folder / "predictions.json", f"[\n{lines}\n]\n" if lines else "[]\n")

    def summary(self) -> list[str]:
        total: Counter[str] = sum(self.counts.values(), Counter())
        return [
            *(f"{path}: {_format_counts(counts)}" for path, counts in list(self.counts.items())[:MAX_SUMMARY_ROWS]),
            *self._remaining_line(len(self.counts)),
            f"{len(self.counts):,} images, {self.objects} with a score of {self.drawn_score:g} or more: "
            f"{_format_counts(total)}",
            f"{len(self.rows):,} {self.objects} of any score are in predictions.json",
        ]

    def _rows(self, path: Path, prediction: Mapping[str, Any]) -> list[dict[str, Any]]:
        boxes, labels, scores = (prediction[name].tolist() for name in ("boxes", "labels", "scores"))
        masks = prediction.get("masks")
        segmentations = [{}] * len(labels) if masks is None else [{"segmentation": mask} for mask in masks]
        return [
            {
                "image_id": self.image_ids[path],
                "file_name": str(path),
                "category_id": self.categories[label],
                "category_name": self.class_names[label],
                "bbox": [round(value, 3) for value in (left, top, right - left, bottom - top)],
                "score": round(score, 6),
                **segmentation,
            }
            for (left, top, right, bottom), label, score, segmentation in zip(
                boxes, labels, scores, segmentations, strict=True
            )
        ]


def _image_ids(paths: Sequence[Path], own_ids: Mapping[Path, int | str]) -> dict[Path, int | str]:
    """Image ids: those of the data set; else the file names if all are distinct numbers, as in COCO; else from 1.

    Images that the data set does not list have the numbers above its ids.
    """
    if own_ids and len(set(own_ids.values())) == len(own_ids):
        numbers = itertools.count(
            1 + max((number for number in own_ids.values() if isinstance(number, int)), default=0)
        )
        return {path: own_ids[path] if path in own_ids else next(numbers) for path in paths}
    stems = [path.stem for path in paths]
    if all(stem.isdecimal() for stem in stems) and len({int(stem) for stem in stems}) == len(stems):
        return {path: int(path.stem) for path in paths}
    return {path: number for number, path in enumerate(paths, start=1)}


def _format_counts(counts: Counter[str]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in counts.most_common()) or "none"

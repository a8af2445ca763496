"""Results of detection: annotated images, a table of boxes, and boxes in COCO's results format."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from visionkit.report.drawing.detect import MIN_SCORE, draw_objects, with_score
from visionkit.report.writers.base import MAX_SUMMARY_ROWS, ResultWriter
from visionkit.text import count_of, json_text

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["DetectWriter", "coco_results"]


class DetectWriter(ResultWriter):
    """A row per box, and an annotated image with the boxes of the highest scores."""

    objects: ClassVar[str] = "boxes"

    def __init__(self, target: Path, data: Mapping[str, Any], paths: Sequence[Path], **options: Any) -> None:
        super().__init__(target, data, paths, **options)
        self.drawn_score = MIN_SCORE if self.min_score is None else self.min_score
        self.categories = data.get("category_ids") or list(range(len(self.class_names)))
        self.image_ids = _image_ids(paths, data.get("image_ids", {}))
        self.counts: dict[Path, Counter[str]] = {}

    def add(self, path: Path, image: Any, prediction: Mapping[str, Any], *, reduced: int = 1) -> None:
        self.rows += self._rows(path, prediction)
        shown = with_score(prediction, self.drawn_score)
        self.counts[path] = Counter(self.class_names[label] for label in shown["labels"].tolist())
        super().add(path, image, shown, reduced=reduced)

    def note(self, path: Path, prediction: Mapping[str, Any]) -> None:
        """Nothing: the rows have objects of any score, of which pictures show some."""

    def draw(self, image: Any, prediction: Mapping[str, Any], *, reduced: int) -> Image.Image:
        return draw_objects(
            image, prediction, self.class_names, kind=self.objects, min_score=self.drawn_score, reduced=reduced
        )

    def columns(self) -> Sequence[str]:
        return ["image", "label", "score", "x1", "y1", "x2", "y2"]

    def table(self) -> Iterable[Sequence[Any]]:
        for row in self.rows:
            left, top, width, height = row["bbox"]
            edges = (left, top, left + width, top + height)
            yield [row["file_name"], row["category_name"], f"{row['score']:.6f}", *(round(edge, 3) for edge in edges)]

    def document(self) -> str:
        lines = ",\n".join(json_text(row) for row in self.rows)
        return f"[\n{lines}\n]\n" if lines else "[]\n"

    def summary(self) -> list[str]:
        total: Counter[str] = sum(self.counts.values(), Counter())
        return [
            *(f"{path}: {_format_counts(counts)}" for path, counts in list(self.counts.items())[:MAX_SUMMARY_ROWS]),
            *self._remaining_line(len(self.counts)),
            f"{count_of(len(self.counts), 'image')}, {self.objects} with a score of {self.drawn_score:g} or more: "
            f"{_format_counts(total)}",
            f"{len(self.rows):,} {self.objects} of any score are in {self.files[0].name}",
        ]

    def _rows(self, path: Path, prediction: Mapping[str, Any]) -> list[dict[str, Any]]:
        return coco_results(
            prediction,
            self.class_names,
            image_id=self.image_ids[path],
            category_ids=self.categories,
            file_name=str(path),
        )


def coco_results(
    objects: Mapping[str, Any],
    class_names: Sequence[str],
    *,
    image_id: int | str,
    category_ids: Sequence[int | str],
    file_name: str | None = None,
) -> list[dict[str, Any]]:
    """Predicted objects of one image in the form of COCO's results, with the name of each one's category.

    Args:
        objects: ``boxes`` (n, 4) xyxy, ``labels`` (n,), ``scores`` (n,), and optionally ``masks``, n run lengths.
        class_names: The classes.
        image_id: The id of the image.
        category_ids: The data set's own id of each class.
        file_name: The name of the image's file, if it has one.
    """
    boxes, labels, scores = (objects[name].tolist() for name in ("boxes", "labels", "scores"))
    masks = objects.get("masks")
    segmentations = [{}] * len(labels) if masks is None else [{"segmentation": mask} for mask in masks]
    name_entry = {} if file_name is None else {"file_name": file_name}
    return [
        {
            "image_id": image_id,
            **name_entry,
            "category_id": category_ids[label],
            "category_name": class_names[label],
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

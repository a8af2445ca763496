"""Results of multi-label classification: the classes of each image and all probabilities, and annotated images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from visionkit.report.captions import draw_label_set
from visionkit.report.writers.base import MAX_SUMMARY_ROWS, ResultWriter
from visionkit.text import count_of, json_text

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["MultilabelWriter"]


class MultilabelWriter(ResultWriter):
    """A row per image: its classes, the most likely first; the likeliest whether it has them or not; probabilities."""

    max_drawn = 100
    num_top: ClassVar[int] = 5

    def note(self, path: Path, prediction: Mapping[str, Any]) -> None:
        probabilities = dict(zip(self.class_names, prediction["probabilities"], strict=True))
        top = sorted(probabilities, key=lambda name: -probabilities[name])[: self.num_top]
        classes = [self.class_names[label] for label in prediction["labels"]]
        self.rows.append(
            {
                "file": str(path),
                "labels": prediction["labels"],
                "classes": classes,
                "scores": [probabilities[name] for name in classes],
                "top": [{"class": name, "score": probabilities[name]} for name in top],
                "probabilities": probabilities,
            }
        )

    def draw(self, image: Any, prediction: Mapping[str, Any], *, reduced: int) -> Image.Image:
        return draw_label_set(image, self.class_names, prediction["probabilities"], prediction["labels"])

    def columns(self) -> Sequence[str]:
        return ["file", "classes", *self.class_names]

    def table(self) -> Iterable[Sequence[Any]]:
        for row in self.rows:
            probabilities = (f"{value:.6f}" for value in row["probabilities"].values())
            yield [row["file"], ";".join(row["classes"]), *probabilities]

    def document(self) -> str:
        return json_text(self.rows, indent=1) + "\n"

    def summary(self) -> list[str]:
        counts = Counter(name for row in self.rows for name in row["classes"] or ["none"])
        return [
            *(f"{row['file']}: {_describe(row)}" for row in self.rows[:MAX_SUMMARY_ROWS]),
            *self._remaining_line(len(self.rows)),
            f"{count_of(len(self.rows), 'image')}: "
            + ", ".join(f"{name} {counts[name]:,}" for name in [*self.class_names, "none"] if counts[name]),
        ]


def _describe(row: Mapping[str, Any]) -> str:
    """The classes of an image with their probabilities; without any, the likeliest."""
    shown = [f"{name} ({score:.1%})" for name, score in zip(row["classes"], row["scores"], strict=True)]
    return ", ".join(shown) or f"none; most likely {row['top'][0]['class']} ({row['top'][0]['score']:.1%})"

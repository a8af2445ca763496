"""Results of classification: a table and a document of probabilities, and images with their likeliest classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.report.captions import draw_classes
from visionkit.report.writers.base import MAX_SUMMARY_ROWS, ResultWriter
from visionkit.text import count_of, json_text

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ClassifyWriter"]


class ClassifyWriter(ResultWriter):
    """A row per image: predicted class, and the probability of each class."""

    max_drawn = 100

    def note(self, path: Path, prediction: Mapping[str, Any]) -> None:
        self.rows.append(
            {
                "file": str(path),
                "label": prediction["label"],
                "class": self.class_names[prediction["label"]],
                "score": prediction["score"],
                "probabilities": dict(zip(self.class_names, prediction["probabilities"], strict=True)),
            }
        )

    def draw(self, image: Any, prediction: Mapping[str, Any], *, reduced: int) -> Image.Image:
        return draw_classes(image, self.class_names, prediction["probabilities"])

    def columns(self) -> Sequence[str]:
        return ["file", "label", "class", "score", *self.class_names]

    def table(self) -> Iterable[Sequence[Any]]:
        for row in self.rows:
            probabilities = (f"{value:.6f}" for value in row["probabilities"].values())
            yield [row["file"], row["label"], row["class"], f"{row['score']:.6f}", *probabilities]

    def document(self) -> str:
        return json_text(self.rows, indent=1) + "\n"

    def summary(self) -> list[str]:
        counts = Counter(row["class"] for row in self.rows)
        return [
            *(f"{row['file']}: {row['class']} ({row['score']:.1%})" for row in self.rows[:MAX_SUMMARY_ROWS]),
            *self._remaining_line(len(self.rows)),
            f"{count_of(len(self.rows), 'image')}: "
            + ", ".join(f"{name} {counts[name]:,}" for name in self.class_names if counts[name]),
        ]

"""Result files of multi-label classification: the classes of each image, and all probabilities, as CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from visionkit.files import write_atomic
from visionkit.report.writers.base import MAX_SUMMARY_ROWS, ResultWriter
from visionkit.text import count_of, json_text, quote_cell

__all__ = ["MultilabelWriter"]


class MultilabelWriter(ResultWriter):
    """A row per image: its classes, the most likely first; the likeliest whether it has them or not; probabilities."""

    files = ("predictions.csv", "predictions.json")
    draws_images = False

    num_top: ClassVar[int] = 5

    def add(self, path: Path, image: Any, prediction: Mapping[str, Any], *, reduced: int = 1) -> None:
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

    def write(self) -> None:
        table = io.StringIO(newline="")
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["file", "classes", *map(quote_cell, self.class_names)])
        for row in self.rows:
            probabilities = (f"{value:.6f}" for value in row["probabilities"].values())
            writer.writerow([quote_cell(row["file"]), quote_cell(";".join(row["classes"])), *probabilities])
        write_atomic(self.folder / "predictions.csv", table.getvalue())
        write_atomic(self.folder / "predictions.json", json_text(self.rows, indent=1) + "\n")

    def summary(self) -> list[str]:
        counts = {name: sum(name in row["classes"] for row in self.rows) for name in self.class_names}
        counts["none"] = sum(not row["classes"] for row in self.rows)
        return [
            *(f"{row['file']}: {_describe(row)}" for row in self.rows[:MAX_SUMMARY_ROWS]),
            *self._remaining_line(len(self.rows)),
            f"{count_of(len(self.rows), 'image')}: "
            + ", ".join(f"{name} {count:,}" for name, count in counts.items() if count),
        ]


def _describe(row: Mapping[str, Any]) -> str:
    """The classes of an image with their probabilities; without any, the likeliest."""
    shown = [f"{name} ({score:.1%})" for name, score in zip(row["classes"], row["scores"], strict=True)]
    return ", ".join(shown) or f"none; most likely {row['top'][0]['class']} ({row['top'][0]['score']:.1%})"

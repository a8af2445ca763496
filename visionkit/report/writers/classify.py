"""Result files of classification: probabilities as CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visionkit.files import write_atomic
from visionkit.report.writers.base import MAX_SUMMARY_ROWS, ResultWriter
from visionkit.text import count_of, json_text, quote_cell

__all__ = ["ClassifyWriter"]


class ClassifyWriter(ResultWriter):
    """A row per image: predicted class, and the probability of each class."""

    files = ("predictions.csv", "predictions.json")
    draws_images = False

    def add(self, path: Path, image: Any, prediction: Mapping[str, Any], *, reduced: int = 1) -> None:
        self.rows.append(
            {
                "file": str(path),
                "label": prediction["label"],
                "class": self.class_names[prediction["label"]],
                "score": prediction["score"],
                "probabilities": dict(zip(self.class_names, prediction["probabilities"], strict=True)),
            }
        )

    def write(self) -> None:
        table = io.StringIO(newline="")
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["file", "label", "class", "score", *map(quote_cell, self.class_names)])
        for row in self.rows:
            probabilities = (f"{value:.6f}" for value in row["probabilities"].values())
            cells = [row["file"], row["label"], row["class"], f"{row['score']:.6f}"]
            writer.writerow([*map(quote_cell, cells), *probabilities])
        write_atomic(self.folder / "predictions.csv", table.getvalue())
        write_atomic(self.folder / "predictions.json", json_text(self.rows, indent=1) + "\n")

    def summary(self) -> list[str]:
        counts = {name: sum(row["class"] == name for row in self.rows) for name in self.class_names}
        return [
            *(f"{row['file']}: {row['class']} ({row['score']:.1%})" for row in self.rows[:MAX_SUMMARY_ROWS]),
            *self._remaining_line(len(self.rows)),
            f"{count_of(len(self.rows), 'image')}: "
            + ", ".join(f"{name} {count:,}" for name, count in counts.items() if count),
        ]

"""Classification in the commands: a class under each image, and tables of probabilities."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from visionkit.commands.kits.base import Results, TaskKit, autocast, some_images
from visionkit.files import write_atomic
from visionkit.inference.options import PredictOptions
from visionkit.metrics.table import Table

__all__ = ["ClassifyKit"]

PICTURES = 32
SHOWN = 20


class ClassifyKit(TaskKit):
    """Labels, confusion matrix, ``predictions.csv`` and ``predictions.json``."""

    files = ("predictions.csv", "predictions.json")

    def draw_batch(self, batch: Mapping[str, Tensor], class_names: Sequence[str], path: Path) -> None:
        from visionkit.report.plots import plot_images

        plot_images(batch["images"], batch["label"].tolist(), class_names, path, title="first training batch")

    def draw_tables(self, tables: Mapping[str, Table], class_names: Sequence[str], plots: Path) -> None:
        from visionkit.report.plots import plot_confusion_matrix

        if "confusion_matrix" in tables:
            counts = [[int(cell or 0) for cell in row[1:]] for row in tables["confusion_matrix"].rows]
            plot_confusion_matrix(counts, class_names, plots / "confusion_matrix.png")

    @torch.inference_mode()
    def draw_predictions(
        self, model: Any, samples: Any, preprocess: Any, class_names: Sequence[str], path: Path
    ) -> None:
        from visionkit.report.plots import plot_predictions

        some = [(position, preprocess(image)) for position, image in some_images(samples, PICTURES)]
        if not some:
            return
        images = torch.stack([image for _, image in some])
        predictions = model.eval().predict(model(images.to(next(model.parameters()).device)))
        plot_predictions(
            images,
            [int(samples.labels[position]) for position, _ in some],
            predictions["labels"].tolist(),
            predictions["scores"].tolist(),
            class_names,
            path,
            title="predictions on validation images",
        )

    def results(
        self, model: Any, preprocess: Any, data: Mapping[str, Any], *, target: Path, paths: Sequence[Path],
        precision: str, options: PredictOptions,
    ) -> Results:  # fmt: skip
        options.allow(
            because="this run classifies: every image gets the class with the highest score, and the table has all."
        )
        return _Classes(model, preprocess, data["class_names"], target=target, precision=precision)


class _Classes(Results):
    """A row per image: its class and the probability of each."""

    def __init__(self, model: Any, preprocess: Any, names: Sequence[str], *, target: Path, precision: str) -> None:
        self.model, self.preprocess, self.names = model, preprocess, names
        self.target, self.precision = target, precision
        self.rows = []

    def prepare(self, image: Tensor) -> Tensor:
        prepared: Tensor = self.preprocess(image)
        return prepared

    def take(self, paths: Sequence[Path], prepared: Sequence[Tensor]) -> None:
        device = next(self.model.parameters()).device
        with torch.inference_mode(), autocast(device, self.precision):
            predictions = self.model.predict(self.model(torch.stack(list(prepared)).to(device)))
        labels, probabilities = predictions["labels"].tolist(), predictions["probabilities"].tolist()
        self.rows += [
            {
                "file": str(path),
                "label": label,
                "class": self.names[label],
                "score": row[label],
                "probabilities": dict(zip(self.names, row, strict=True)),
            }
            for path, label, row in zip(paths, labels, probabilities, strict=True)
        ]

    def write(self) -> None:
        table = io.StringIO(newline="")
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["file", "label", "class", "score", *self.names])
        for row in self.rows:
            probabilities = (f"{value:.6f}" for value in row["probabilities"].values())
            writer.writerow([row["file"], row["label"], row["class"], f"{row['score']:.6f}", *probabilities])
        write_atomic(self.target / "predictions.csv", table.getvalue())
        write_atomic(self.target / "predictions.json", json.dumps(self.rows, indent=1, ensure_ascii=False) + "\n")

    def lines(self) -> list[str]:
        counts = {name: sum(row["class"] == name for row in self.rows) for name in self.names}
        return [
            *(f"{row['file']}: {row['class']} ({row['score']:.1%})" for row in self.rows[:SHOWN]),
            *([f"... and {len(self.rows) - SHOWN:,} more"] if len(self.rows) > SHOWN else []),
            f"{len(self.rows):,} images: " + ", ".join(f"{name} {count:,}" for name, count in counts.items() if count),
        ]

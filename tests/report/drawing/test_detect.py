"""Pictures of detection: the training batch, which boxes match, precision over recall."""

import numpy as np
import torch
from PIL import Image

from visionkit.metrics.table import Table
from visionkit.report.drawing.detect import DetectDrawing, _matches

CLASSES = ("cat", "dog")


def _count(path, colour):
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return int((np.abs(pixels - np.array(colour)).max(axis=-1) <= 2).sum())


def test_the_training_batch_is_drawn_with_its_boxes_and_without_padding(tmp_path):
    batch = {
        "images": torch.full((1, 1, 64, 64), 255, dtype=torch.uint8),
        "image_sizes": torch.tensor([[32, 64]]),
        "boxes": torch.tensor([[[8.0, 8.0, 30.0, 24.0], [0.0, 0.0, 0.0, 0.0]]]),
        "labels": torch.tensor([[1, -1]]),
    }
    DetectDrawing().batch(batch, CLASSES, tmp_path / "batch.png")
    with Image.open(tmp_path / "batch.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
        assert image.height == 34 + 160 + 8
    drawn = np.nonzero((pixels[34:, 8:].max(axis=-1) - pixels[34:, 8:].min(axis=-1)) > 100)
    assert (drawn[1].min(), drawn[0].max()) == (40, 119)  # five times as large


def test_an_object_is_found_once_and_by_the_surest_box():
    truth = {"boxes": torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]]), "labels": torch.tensor([0, 1])}
    found = {
        "boxes": torch.tensor([[0.0, 0, 10, 9], [0, 0, 10, 10], [50, 50, 60, 60], [50, 50, 54, 60]]),
        "labels": torch.tensor([0, 0, 0, 1]),
    }
    assert _matches(found, truth) == ([True, False, False, False], [True, False])


def test_precision_over_recall_is_drawn_from_its_table(tmp_path):
    rows = [(number / 100, 1 - number / 200, 1 - number / 200, None) for number in range(101)]
    tables = {"precision_recall": Table(("recall", "mean", *CLASSES), rows)}
    DetectDrawing().tables(tables, CLASSES, tmp_path)
    assert _count(tmp_path / "precision_recall.png", (0x22, 0x26, 0x2E)) > 200
    DetectDrawing().tables({}, CLASSES, tmp_path / "none")
    assert not (tmp_path / "none").exists()

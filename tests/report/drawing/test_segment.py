"""Pictures of segmentation: the training batch and the confusion matrix."""

import torch
from PIL import Image

from visionkit.metrics.table import Table
from visionkit.report.drawing.segment import SegmentDrawing

CLASSES = ("background", "cat", "dog")


def test_the_training_batch_is_drawn_without_padding(tmp_path):
    batch = {
        "images": torch.full((1, 1, 64, 64), 255, dtype=torch.uint8),
        "image_sizes": torch.tensor([[32, 64]]),
        "mask": torch.zeros(1, 64, 64, dtype=torch.uint8),
    }
    SegmentDrawing().batch(batch, CLASSES, tmp_path / "batch.png")
    with Image.open(tmp_path / "batch.png") as image:
        assert image.height == 34 + 160 + 8 + 22


def test_the_confusion_matrix_is_drawn_from_its_table(tmp_path):
    rows = [(name, *(100_000_000 if i == j else 4_000_000 for j in range(3))) for i, name in enumerate(CLASSES)]
    SegmentDrawing().tables({"confusion_matrix": Table(("t", *CLASSES), rows)}, CLASSES, tmp_path)
    assert (tmp_path / "confusion_matrix.png").stat().st_size > 5_000
    SegmentDrawing().tables({}, CLASSES, tmp_path / "none")
    assert not (tmp_path / "none").exists()

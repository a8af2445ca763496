"""Pictures of segmentation: the training batch and the confusion matrix."""

import math

import pytest
import torch
from PIL import Image

from visionkit.metrics.table import Table
from visionkit.report.drawing.segment import SegmentDrawing, mean_iou

CLASSES = ("background", "cat", "dog")


def test_the_training_batch_is_drawn_without_padding(tmp_path):
    batch = {
        "images": torch.full((1, 1, 64, 64), 255, dtype=torch.uint8),
        "image_sizes": torch.tensor([[32, 64]]),
        "mask": torch.zeros(1, 64, 64, dtype=torch.uint8),
    }
    SegmentDrawing().batch(batch, CLASSES, tmp_path / "batch.png", num_images=1)
    with Image.open(tmp_path / "batch.png") as image:
        assert image.size == (420, 34 + 160 + 8)  # background needs no legend


def test_the_confusion_matrix_is_drawn_from_its_table(tmp_path):
    rows = [(name, *(100_000_000 if i == j else 4_000_000 for j in range(3))) for i, name in enumerate(CLASSES)]
    SegmentDrawing().tables({"confusion_matrix": Table(("t", *CLASSES), rows)}, CLASSES, tmp_path, split="test")
    assert (tmp_path / "confusion_matrix.png").stat().st_size > 5_000
    SegmentDrawing().tables({}, CLASSES, tmp_path / "none", split="test")
    assert not (tmp_path / "none").exists()


def test_the_mean_iou_of_an_image_is_over_the_classes_in_it_and_leaves_out_ignored_pixels():
    truth, prediction = torch.tensor([[0, 0, 1, 255]]), torch.tensor([[0, 1, 1, 255]])
    assert mean_iou(truth, prediction) == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert mean_iou(truth, truth) == 1
    assert math.isnan(mean_iou(torch.tensor([[255]]), torch.tensor([[255]])))


def test_the_worst_image_comes_first_between_its_truth_and_its_score(monkeypatch, tmp_path):
    image, drawn = torch.zeros(3, 2, 2, dtype=torch.uint8), {}
    truths = [torch.tensor([[1, 1]]), torch.tensor([[1, 2]]), torch.tensor([[255, 255]])]
    examples = [{"image": image, "truth": t, "prediction": {"mask": torch.tensor([[1, 1]])}} for t in truths]
    examples[2]["prediction"]["mask"] = truths[2]
    monkeypatch.setattr(
        "visionkit.report.drawing.segment.plot_masks",
        lambda panels, names, path, **options: drawn.update(options, panels=panels),
    )
    SegmentDrawing().examples(examples, CLASSES, tmp_path / "p.png", split="val")
    assert drawn["title"] == "val split: 3 images, the worst first"
    assert drawn["headings"] == ("image", "truth", "predicted")
    assert drawn["captions"] == ["", "", "mIoU 25.0%", "", "", "mIoU 100.0%", "", "", ""]
    assert drawn["panels"][1][1] is truths[1]

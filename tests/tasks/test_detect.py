"""The step of detection: what is scored, and in which pixels."""

import pytest
import torch
from torch import nn

from tests.helpers.batch_losses import BatchLosses
from visionkit.tasks.build import build_task
from visionkit.tasks.info import TASKS


class _Model(BatchLosses, nn.Module):
    """Finds in a batch image of 100x50 pixels what it is told to."""

    def __init__(self, boxes):
        super().__init__()
        self.boxes = torch.tensor(boxes)[None]
        self.predicted = 0

    def forward(self, images, image_sizes=None):
        return {"logits": torch.zeros(len(images), 1, 2)}

    def loss(self, outputs, targets):
        return {"classification": torch.tensor(1.0, requires_grad=True), "boxes": torch.tensor(0.5)}

    def predict(self, outputs, image_sizes=None):
        self.predicted += 1
        labels = torch.zeros(1, self.boxes.shape[1], dtype=torch.int64)
        return {"boxes": self.boxes, "scores": torch.ones(labels.shape), "labels": labels}


def _batch(**changes):
    return {
        "images": torch.zeros(1, 3, 128, 128, dtype=torch.uint8),
        "image_sizes": torch.tensor([[100, 50]]),
        "boxes": torch.zeros(1, 8, 4),
        "labels": torch.full((1, 8), -1),
        "index": torch.tensor([0]),
        "original_sizes": torch.tensor([[400, 250]]),
        "truth_boxes": torch.tensor([[[100.0, 40.0, 200.0, 240.0]]]),
        "truth_labels": torch.tensor([[0]]),
        "truth_crowd": torch.tensor([[False]]),
        "truth_area": torch.tensor([[20_000.0]]),
        **changes,
    }


def _score(boxes, **changes):
    task = build_task(TASKS["detect"], _Model(boxes), class_names=("a", "b"))
    task.validation_step(_batch(**changes), 0)
    return {name: value.item() for name, value in task.metrics["val"].scalars().items()}


def test_detection_is_judged_by_validation_map():
    info = TASKS["detect"]
    assert (info.name, info.target, info.monitor, info.mode) == ("detect", "boxes", "val/map", "max")


def test_boxes_are_scored_in_pixels_of_the_original_image():
    # 5 times as wide, 4 times as high
    assert _score([[20.0, 10.0, 40.0, 60.0]])["map"] == pytest.approx(1.0)
    assert _score([[100.0, 40.0, 200.0, 240.0]])["map"] == 0.0


def test_training_batches_cost_no_prediction_and_have_losses_alone():
    task = build_task(TASKS["detect"], _Model([[0.0, 0.0, 1.0, 1.0]]), class_names=("a", "b"))
    assert task.training_step(_batch(), 0).item() == 1.5
    assert task.model.predicted == 0
    means = {name: value.item() for name, value in task.losses["train"].means().items()}
    assert means == {"classification": 1.0, "boxes": 0.5, "loss": 1.5}

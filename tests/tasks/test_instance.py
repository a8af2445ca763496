"""The step of instance segmentation: what is scored, and in which pixels."""

import pytest
import torch
from torch import nn

from tests.helpers.batch_losses import BatchLosses
from visionkit.structures.rle import encode_masks, pack_masks
from visionkit.tasks.build import build_task
from visionkit.tasks.info import TASKS


class _Model(BatchLosses, nn.Module):
    """Finds in a batch image of 100x50 pixels what it is told to: a box whose left half is the object."""

    def __init__(self, box):
        super().__init__()
        self.box = torch.tensor([[box]])
        self.predicted = 0

    def forward(self, images, image_sizes=None):
        return {"logits": torch.zeros(len(images), 1, 2)}

    def loss(self, outputs, targets):
        return {"boxes": torch.tensor(1.0, requires_grad=True), "masks": torch.tensor(0.5)}

    def predict(self, outputs, image_sizes=None):
        self.predicted += 1
        logits = torch.full((1, 1, 28, 28), -20.0)
        logits[..., :14] = 20.0
        labels = torch.zeros(1, 1, dtype=torch.int64)
        return {"boxes": self.box, "scores": torch.ones(1, 1), "labels": labels, "mask_logits": logits}


def _batch(**changes):
    masks = torch.zeros(1, 1, 400, 250, dtype=torch.bool)
    masks[0, 0, 40:240, 100:150] = True
    return {
        "images": torch.zeros(1, 3, 128, 128, dtype=torch.uint8),
        "image_sizes": torch.tensor([[100, 50]]),
        "index": torch.tensor([0]),
        "original_sizes": torch.tensor([[400, 250]]),
        "truth_boxes": torch.tensor([[[100.0, 40.0, 200.0, 240.0]]]),
        "truth_labels": torch.tensor([[0]]),
        "truth_crowd": torch.tensor([[False]]),
        "truth_area": torch.tensor([[10_000.0]]),
        "truth_runs": pack_masks(encode_masks(masks[0]))[None],
        **changes,
    }


def _score(box, **changes):
    task = build_task(TASKS["instance"], _Model(box), class_names=("a", "b"))
    task.validation_step(_batch(**changes), 0)
    return {name: value.item() for name, value in task.metrics["val"].scalars().items()}


def test_instances_are_judged_by_the_validation_map_of_masks():
    info = TASKS["instance"]
    assert (info.name, info.target, info.monitor, info.mode) == ("instance", "instances", "val/map", "max")


def test_masks_and_boxes_are_scored_in_pixels_of_the_original_image():
    # 5 times as wide, 4 times as high
    numbers = _score([20.0, 10.0, 40.0, 60.0])
    assert (numbers["map"], numbers["box_map"]) == (pytest.approx(1.0), pytest.approx(1.0))
    numbers = _score([100.0, 40.0, 200.0, 240.0])
    assert (numbers["map"], numbers["box_map"]) == (0.0, 0.0)


def test_a_mask_is_scored_by_itself():
    masks = torch.zeros(1, 1, 400, 250, dtype=torch.bool)
    masks[0, 0, 40:240, 150:200] = True  # the right half
    numbers = _score([20.0, 10.0, 40.0, 60.0], truth_runs=pack_masks(encode_masks(masks[0]))[None])
    assert (numbers["map"], numbers["box_map"]) == (0.0, pytest.approx(1.0))


def test_training_batches_cost_no_prediction_and_have_losses_alone():
    task = build_task(TASKS["instance"], _Model([0.0, 0.0, 1.0, 1.0]), class_names=("a", "b"))
    assert task.training_step(_batch(), 0).item() == 1.5
    assert task.model.predicted == 0
    means = {name: value.item() for name, value in task.losses["train"].means().items()}
    assert means == {"boxes": 1.0, "masks": 0.5, "loss": 1.5}

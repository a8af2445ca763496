"""The step of segmentation: what is scored, and in which pixels."""

import pytest
import torch
from torch import nn

from tests.helpers.batch_losses import BatchLosses
from visionkit.tasks.build import build_task
from visionkit.tasks.info import TASKS


class _Model(BatchLosses, nn.Module):
    """Says of a batch image of 8x8 pixels what it is told to: the class of each."""

    def __init__(self, mask):
        super().__init__()
        self.mask = torch.tensor(mask)

    def forward(self, images, image_sizes=None):
        return {"logits": 9.0 * nn.functional.one_hot(self.mask, 3).permute(2, 0, 1)[None].float()}

    def loss(self, outputs, targets):
        return {"cross_entropy": torch.tensor(1.0, requires_grad=True), "dice_loss": torch.tensor(0.5)}


LEFT = [[0, 1, 2, 2]] * 4  # the image is the left half of its batch


def _batch(truth, **changes):
    truth = torch.tensor(truth, dtype=torch.uint8)
    return {
        "images": torch.zeros(1, 3, 4, 4, dtype=torch.uint8),
        "image_sizes": torch.tensor([[4, 2]]),
        "mask": torch.zeros(1, 4, 4, dtype=torch.uint8),
        "index": torch.tensor([0]),
        "original_sizes": torch.tensor([truth.shape]),
        "truth_mask": truth[None],
        **changes,
    }


def _score(truth, **changes):
    task = build_task(TASKS["segment"], _Model(LEFT), class_names=("a", "b", "c"))
    task.validation_step(_batch(truth, **changes), 0)
    return {name: value.item() for name, value in task.metrics["val"].scalars().items()}


def test_segmentation_is_judged_by_validation_mean_iou():
    info = TASKS["segment"]
    assert (info.name, info.target, info.monitor, info.mode) == ("segment", "mask", "val/mean_iou", "max")


def test_masks_are_scored_in_pixels_of_the_original_image_without_padding():
    assert _score([[0, 0, 0, 1, 1, 1]] * 12) == {"mean_iou": 1.0, "pixel_accuracy": 1.0, "dice": 1.0}
    assert _score([[0, 0, 0, 0, 1, 1]] * 12)["pixel_accuracy"] == pytest.approx(5 / 6)


def test_ignored_pixels_are_not_scored():
    assert _score([[0, 0, 0, 255, 1, 1]] * 12)["mean_iou"] == 1.0


def test_training_batches_have_losses_alone():
    task = build_task(TASKS["segment"], _Model(LEFT), class_names=("a", "b", "c"))
    batch = _batch([[0, 1]] * 4)
    assert task.training_step({k: v for k, v in batch.items() if "truth" not in k}, 0).item() == 1.5
    means = {name: value.item() for name, value in task.losses["train"].means().items()}
    assert means == {"cross_entropy": 1.0, "dice_loss": 0.5, "loss": 1.5}
    assert task.metrics["train"].scalars() == {}

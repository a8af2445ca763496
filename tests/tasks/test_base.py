"""The step under every task."""

import pytest
import torch
from torch import nn

from visionkit.tasks.classify import ClassifyTask

BATCH = {"images": torch.zeros(2, 1, 4, 4, dtype=torch.uint8), "label": torch.tensor([0, 1])}


class _Model(nn.Module):
    def __init__(self, **losses):
        super().__init__()
        self.losses = {name: torch.tensor(value, requires_grad=True) for name, value in losses.items()}

    def forward(self, images, image_sizes=None):
        return {"logits": torch.eye(2)}

    def loss(self, outputs, targets):
        return self.losses


@pytest.mark.parametrize("losses", [{"class": 1.0, "box": 2.5}, {"loss": 1.0, "box": 2.5}])
def test_the_total_is_the_sum_of_all_named_losses(losses):
    task = ClassifyTask(_Model(**losses), class_names=("a", "b"))
    assert task.training_step(BATCH, 0).item() == 3.5
    means = {name: value.item() for name, value in task.losses["train"].means().items()}
    assert means == {**losses, "loss": 3.5}


def test_a_single_loss_is_the_total_itself():
    model = _Model(cross_entropy=2.0)
    task = ClassifyTask(model, class_names=("a", "b"))
    assert task.training_step(BATCH, 0) is model.losses["cross_entropy"]
    assert task.losses["train"].last.item() == 2.0


def test_a_batch_moves_as_a_flat_dict():
    task = ClassifyTask(_Model(loss=1.0), class_names=("a", "b"))
    moved = task.transfer_batch_to_device(BATCH, torch.device("meta"), 0)
    assert {name: value.device.type for name, value in moved.items()} == {"images": "meta", "label": "meta"}

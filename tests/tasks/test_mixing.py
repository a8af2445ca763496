"""A training step on mixed images."""

import pytest
import torch
from torch import distributed, nn

from tests.helpers.process_group import run_in_group
from visionkit.data.augment.mixing import BatchMixing
from visionkit.settings import Mix
from visionkit.tasks.build import build_task
from visionkit.tasks.info import TASKS

GENERATOR = torch.Generator().manual_seed(0)
BATCH = {
    "images": torch.randint(0, 256, (8, 1, 4, 4), dtype=torch.uint8, generator=GENERATOR),
    "label": torch.tensor([0, 1, 2, 0, 1, 2, 1, 1]),
    "index": torch.arange(8),
}


class _Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(16, 3)
        with torch.no_grad():
            self.layer.bias.zero_()
            self.layer.weight.copy_(torch.linspace(-1, 1, 48).view(3, 16))

    def forward(self, images, image_sizes=None):
        return {"logits": self.layer(images.flatten(1).float() / 255)}

    def loss(self, outputs, targets):
        return {"loss": nn.functional.cross_entropy(outputs["logits"], targets["label"])}


def _task(**changes):
    values = {"mixup": 1.0, "cutmix": 1.0, "p": 1.0, "off_last": 0.0, **changes}
    mixing = BatchMixing(Mix(**values), target="label", num_classes=3, seed=0, epochs=1)
    return build_task(TASKS["classify"], _Linear(), class_names=("a", "b", "c"), mixing=mixing)


def _gradients(rank, processes):
    """The mean gradient over the processes, of three steps on their parts of the batch."""
    task = _task()
    for step in range(3):
        task.training_step({name: value[rank::processes] for name, value in BATCH.items()}, step).backward()
    gradient = task.model.layer.weight.grad
    if processes > 1:
        distributed.all_reduce(gradient)
    return (gradient / processes).tolist()


def test_the_loss_is_that_of_mixed_images_and_shares():
    task = _task(cutmix=0.0)
    share = task.mixing.draw(0, 0, (4, 4)).share
    images = BATCH["images"].float()
    logits = task.model(images * share + images.roll(4, 0) * (1 - share))["logits"]
    losses = [nn.functional.cross_entropy(logits, labels) for labels in (BATCH["label"], BATCH["label"].roll(4))]
    expected = share * losses[0] + (1 - share) * losses[1]
    assert task.training_step(BATCH, 0).item() == pytest.approx(expected.item(), rel=1e-5)


def test_training_accuracy_counts_the_class_of_the_larger_share():
    task = _task(cutmix=0.0)
    task.training_step(BATCH, 0)
    mixed = task.mixing(BATCH, epoch=0, step=0)
    right = task.model(mixed["images"])["logits"].argmax(1) == mixed["label"].argmax(1)
    assert task.metrics["train"].scalars()["accuracy"].item() == pytest.approx(right.float().mean().item())


def test_gradients_are_the_same_in_one_and_two_processes(tmp_path):
    one = torch.tensor(_gradients(0, 1))
    for each in run_in_group(2, _gradients, 2, folder=tmp_path):
        # float32 sums of eight images in another order
        assert torch.allclose(torch.tensor(each), one, atol=1e-6)

"""The step under every task."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import distributed, nn

from tests.helpers.process_group import run_in_group
from visionkit.data.collate.base import BatchReader
from visionkit.data.dataset import TensorDataset
from visionkit.data.loader import BatchLoader
from visionkit.data.sampler import BatchSampler
from visionkit.data.transforms import InputTransform
from visionkit.distributed.sync_batch_norm import convert_batch_norm
from visionkit.errors import UserError
from visionkit.tasks.base import VisionTask
from visionkit.tasks.build import build_task
from visionkit.tasks.info import TASKS

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
    task = build_task(TASKS["classify"], _Model(**losses), class_names=("a", "b"))
    assert task.training_step(BATCH, 0).item() == 3.5
    means = {name: value.item() for name, value in task.losses["train"].means().items()}
    assert means == {**losses, "loss": 3.5}


def test_a_single_loss_is_the_total_itself():
    model = _Model(cross_entropy=2.0)
    task = build_task(TASKS["classify"], model, class_names=("a", "b"))
    assert task.training_step(BATCH, 0) is model.losses["cross_entropy"]
    assert task.losses["train"].last.item() == 2.0


def test_a_batch_moves_as_a_flat_dict():
    task = build_task(TASKS["classify"], _Model(loss=1.0), class_names=("a", "b"))
    moved = task.transfer_batch_to_device(BATCH, torch.device("meta"), 0)
    assert {name: value.device.type for name, value in moved.items()} == {"images": "meta", "label": "meta"}


def test_a_name_of_a_hook_is_a_plain_attribute_and_all_others_are_looked_through_for_parameters():
    task = build_task(TASKS["classify"], _Model(loss=1.0), class_names=("a", "b"))
    task._current_fx_name = "training_step"
    task.scale = nn.Parameter(torch.ones(2))
    assert (task._current_fx_name, "_current_fx_name" in vars(task)) == ("training_step", True)
    assert "scale" in dict(task.named_parameters())


class _Net(nn.Module):
    """Double precision, batch norm, and a last map of one pixel."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Conv2d(4, 4, 4), nn.BatchNorm2d(4), nn.Flatten(),
            nn.Linear(4, 3),
        )  # fmt: skip

    def forward(self, images, image_sizes=None):
        return {"logits": self.layers(images.double() / 255)}

    def loss(self, outputs, targets):
        return {"loss": nn.functional.cross_entropy(outputs["logits"], targets["label"])}


def _gradients(rank, size, world_size):
    """Of each step of an epoch, as all processes have them, and the statistics and numbers in the end."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (size, 1, 6, 6), dtype=torch.uint8, generator=generator)
    samples = TensorDataset(images, torch.arange(size) % 3, torch.arange(size), prefix="train")
    order = BatchSampler(size, 12, training=True, seed=0, rank=rank, world_size=world_size)
    torch.manual_seed(0)
    net = _Net().double()
    if world_size > 1:
        convert_batch_norm(net)
    task = build_task(TASKS["classify"], net, class_names=("a", "b", "c"))
    steps = []
    for number, batch in enumerate(BatchLoader(BatchReader(samples, InputTransform((6, 6))), order, split="train")):
        net.zero_grad()
        task.training_step(batch, number).backward()
        gradient = torch.cat([parameter.grad.flatten() for parameter in net.parameters()])
        if world_size > 1:
            distributed.all_reduce(gradient)
        steps.append((gradient / world_size).numpy())
    task.losses["train"].gather()
    statistics = torch.cat([value.flatten().double() for value in net.buffers()])
    return steps, statistics.numpy(), {name: value.item() for name, value in task.losses["train"].means().items()}


SIZES = (6, 12, 13, 23, 24)  # in batches of 12: fewer than one, and what is left over


def _epochs(rank, world_size):
    return [_gradients(rank, size, world_size) for size in SIZES]


@pytest.mark.parametrize("world_size", [2, 3, 6])
def test_the_gradient_is_the_mean_over_the_global_batch_on_any_number_of_processes(tmp_path, world_size):
    """Float64 in another order of the sums."""
    found = run_in_group(world_size, _epochs, world_size, folder=tmp_path)
    for number, (steps, statistics, loss) in enumerate(_epochs(0, 1)):
        assert found[0][number][2]["loss"] == pytest.approx(loss["loss"], abs=1e-12)
        for theirs, buffers, _ in (epochs[number] for epochs in found):
            assert buffers == pytest.approx(statistics, abs=1e-12)
            assert len(theirs) == len(steps)
            for one, other in zip(theirs, steps, strict=True):
                assert one == pytest.approx(other, abs=1e-12)


def test_a_batch_norm_that_sees_one_value_is_told_with_the_batch_that_works():
    """What arithmetic cannot know beforehand, as of timm's models."""

    def fail(images, image_sizes):
        nn.BatchNorm2d(4).train()(torch.zeros(1, 4, 1, 1))

    stub = SimpleNamespace(seed=0, current_epoch=0, model=fail, mixing=None)
    stub._training_outputs = partial(VisionTask._training_outputs, stub)
    with pytest.raises(UserError, match=r"one value per channel.*1 image in the batch.*recipe\.batch_size=2"):
        VisionTask.training_step(stub, {"images": torch.zeros(1, 3, 8, 8)}, 0)

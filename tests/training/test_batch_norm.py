"""Batch norm on one value per channel is told before a run begins."""

import pytest
import torch

from tests.helpers.commands import changed
from visionkit.cli.overrides import parse_overrides
from visionkit.cli.resolve import resolve
from visionkit.errors import UserError
from visionkit.models import create_model
from visionkit.runs.config import RunConfig
from visionkit.training.batch_norm import check_batch_norm

WORDS = ("backbone=resnet18", "hardware=cpu")


def config(*words):
    """The configuration of a run."""
    groups = ("task", "backbone", "head", "dataset", "recipe", "hardware")
    return RunConfig.from_plain(
        resolve(parse_overrides(changed(WORDS, *words), groups=groups, options=(), verb="train"), [])
    )


def message(run_config, **batch):
    with pytest.raises(UserError) as error:
        check_batch_norm(run_config, **batch)
    return str(error.value)


def test_the_smallest_batch_and_image_that_work_are_named_and_do_work():
    """ResNet-18 has a stride of 32: an image of 32 pixels ends in one cell, one of 33 in two by two."""
    said = message(config(), batch_size=1, num_processes=1)
    assert "'layer4.blocks.0.residual.body.conv1.norm' normalises over the batch" in said
    assert "recipe.batch_size=2 (" in said
    assert "dataset.image_size=33." in said
    check_batch_norm(config(), batch_size=2, num_processes=1)
    check_batch_norm(config("dataset.image_size=33"), batch_size=1, num_processes=1)


@pytest.mark.parametrize("size", [32, 33])
def test_torch_agrees_on_which_images_are_too_small(size):
    model = create_model("classify", "resnet18", num_classes=10).train()
    images = torch.zeros(1, 3, size, size, dtype=torch.uint8)
    if size == 32:
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            model(images)
    else:
        assert model(images)["logits"].shape == (1, 10)


def test_a_pooled_branch_of_a_head_needs_a_batch_whatever_the_image():
    words = ("task=segment", "head=deeplabv3_small", "dataset.image_size=64")
    said = message(config(*words), batch_size=1, num_processes=1)
    assert "'head.image.conv.norm'" in said
    assert "image_size" not in said


def test_processes_that_share_statistics_share_the_batch():
    shared, alone = config(), config("hardware.sync_batch_norm=false")
    check_batch_norm(shared, batch_size=2, num_processes=2)
    assert "Expected 4 images in a batch at least: recipe.batch_size=4" in message(alone, batch_size=2, num_processes=2)


def test_other_norms_and_networks_without_any_take_a_batch_of_one():
    check_batch_norm(config("backbone=lenet"), batch_size=1, num_processes=1)
    check_batch_norm(config("backbone.layer_defaults.norm=group"), batch_size=1, num_processes=1)

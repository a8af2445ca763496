"""Each file of `conf/experiment/` composes, has the schedule of its source, and trains a step."""

from copy import deepcopy
from functools import cache

import pytest
import torch

from tests.helpers.experiment_data import make_data
from tests.helpers.paths import CONF, REPOSITORY
from visionkit.cli.compose import compose
from visionkit.runs.config import RunConfig
from visionkit.settings import Recipe
from visionkit.training.schedules import make_schedule

_compose = cache(lambda name: compose({"experiment": name}, config_dirs=()))


def composed(name):
    return deepcopy(_compose(name))


EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_a_valid_configuration_and_says_where_it_comes_from(name):
    plain = composed(name)
    config = RunConfig.from_plain(plain, check_data=False)
    size = plain["dataset"]["image_size"]
    height, width = size if isinstance(size, list) else (size, size)
    assert config.head.trace(config.backbone, num_classes=11, image_size=(height, width))
    first, second = (CONF / "experiment" / f"{name}.yaml").read_text().splitlines()[:2]
    assert first == "# @package _global_"
    assert second.startswith("# ")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_listed_with_its_source(name):
    assert f"`{name}`" in (REPOSITORY / "docs" / "first_steps.md").read_text()


STEPS = {
    "imagenet_resnet50": (1_281_167, 450_360, 0.005, {29.9: 1.0, 30.1: 0.1, 59.9: 0.1, 60.1: 0.01}),
    "cifar10_resnet20_paper": (45_000, 64_000, 0.005, {90: 1.0, 92: 0.1, 136: 0.1, 137: 0.01}),
    "cifar10_resnet56": (45_000, 64_000, 0.005, {90: 1.0, 92: 0.1, 136: 0.1, 137: 0.01}),
    "cifar10_resnet110": (45_000, 64_000, 0.005, {0: 0.003, 90: 1.0, 92: 0.1, 136: 0.1, 137: 0.01}),
    "cifar10_densenet_bc": (45_000, 210_900, 0.001, {149: 1.0, 151: 0.1, 224: 0.1, 226: 0.01}),
    "cifar100_densenet_bc": (45_000, 210_900, 0.001, {149: 1.0, 151: 0.1, 224: 0.1, 226: 0.01}),
    "voc_faster_rcnn": (5_717, 18_000, 0.01, {33: 1.0, 34: 0.1, 44: 0.1, 45: 0.01}),
    "camvid_vgg16": (367, 40_000, 0.001, {0: 1.0, 1332: 1.0}),
}
"""Training images, steps as the source has them, how near they are, and factors of the rate at some epochs."""


@pytest.mark.parametrize("name", STEPS)
def test_steps_and_drops_of_the_rate_are_those_of_the_source(name):
    images, steps, tolerance, factors = STEPS[name]
    recipe = Recipe.from_config(composed(name)["recipe"])
    per_epoch = images // recipe.batch_size
    assert per_epoch * recipe.epochs == pytest.approx(steps, rel=tolerance)
    schedule = make_schedule(recipe)
    found = {epoch: schedule(round(epoch * per_epoch), per_epoch * recipe.epochs) for epoch in factors}
    assert found == pytest.approx(factors, rel=0.1)


SMALL = {
    "detect": {"head": {"proposals": 20, "training_proposals": 40, "sampled_proposals": 16}},
    "instance": {"head": {"proposals": 20, "training_proposals": 40, "sampled_proposals": 16}},
}
"""What keeps a step on images of 64 pixels short; layers are left as they are."""


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_trains_a_step(name, tmp_path, monkeypatch):
    import visionkit as vk

    plain = composed(name)
    task, dataset = plain["task"]["name"], plain["dataset"]["type"]
    changes = {"root": str(make_data(dataset, tmp_path / "data", monkeypatch)), "num_workers": 0}
    changes |= {"val_size": 10} if "val_size" in plain["dataset"] else {"image_size": 64}
    head = {key: value for key, value in SMALL.get(task, {}).get("head", {}).items() if key in plain["head"]}
    module, data = vk.build(
        f"experiment={name}", dataset=changes, recipe={"batch_size": 2}, **({"head": head} if head else {})
    )
    module.train()
    optimizer = module.configure_optimizers()
    before = [parameter.detach().clone() for parameter in module.model.parameters()]
    batch = next(iter(data.train_dataloader()))
    outputs = module.model(batch["images"], batch.get("image_sizes"))
    loss = torch.stack(list(module.model.loss(outputs, batch).values())).sum()
    loss.backward()
    optimizer.step()
    assert bool(torch.isfinite(loss))
    moved = [not torch.equal(a, b) for a, b in zip(before, module.model.parameters(), strict=True)]
    assert sum(moved) > 0.9 * len(moved)
    assert all(bool(torch.isfinite(parameter).all()) for parameter in module.model.parameters())

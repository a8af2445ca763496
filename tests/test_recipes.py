"""Each file of `conf/recipe/` is a valid recipe, says where it comes from, and trains a step."""

import math

import pytest
import torch

from tests.helpers.paths import CONF, REPOSITORY
from visionkit.config_files import read_group_file
from visionkit.settings import Recipe

RECIPES = sorted(file.stem for file in (CONF / "recipe").glob("*.yaml") if not file.stem.startswith("_"))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_valid_says_what_it_is_and_is_listed(name):
    recipe = Recipe.from_config(read_group_file("recipe", name))
    assert 0 < recipe.lr < 1
    assert (CONF / "recipe" / f"{name}.yaml").read_text().startswith("# ")
    assert f"`{name}`" in (REPOSITORY / "docs" / "recipes.md").read_text()


def test_the_average_of_imagenet_forgets_as_fast_as_torchvisions():
    """torchvision updates every 32 steps with 1 - (1 - 0.99998) * 8 * 128 * 32 / 600 (references/classification)."""
    recipe = Recipe.from_config(read_group_file("recipe", "imagenet"))
    kept_in_32_steps = 1 - (1 - 0.99998) * recipe.batch_size * 32 / recipe.epochs
    assert math.log(recipe.ema.decay) * 32 == pytest.approx(math.log(kept_in_32_steps), rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_a_step(name, cli, tmp_path):
    words = (f"recipe={name}", "debug=fast", "recipe.batch_size=16", "hardware=cpu", "dataset.num_workers=0")
    code, out, err = cli("train", "backbone=lenet", *words, f"run_dir={tmp_path}/run", "seed=1")
    assert code == 0, out + err
    stored = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert stored["global_step"] == 2
    assert all(bool(torch.isfinite(value).all()) for value in stored["state_dict"].values())
    assert ("weights_in_training" in stored) == (read_group_file("recipe", name)["ema"] is not None)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["detect", "segment", "instance"])
def test_small_is_for_every_task(task, cli, tmp_path):
    words = (f"task={task}", "recipe=small", "debug=fast", "hardware=cpu", "dataset.num_workers=0")
    code, out, err = cli("train", "backbone=resnet20", *words, f"run_dir={tmp_path}/run")
    assert code == 0, out + err

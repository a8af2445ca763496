"""What needs whole weights in each process is refused where they are sharded."""

from dataclasses import replace

import pytest

from visionkit.config_files import read_group_file
from visionkit.errors import UserError
from visionkit.runs.sharding_checks import check_sharding
from visionkit.settings import Hardware, Recipe

TEACHER = {"run": "a", "temperature": 4.0, "weight": 0.5}


@pytest.mark.parametrize(
    ("name", "changes", "key", "other"),
    [
        ("small", {}, "recipe.ema: found an average", "recipe.ema=null"),
        ("sgd", {"freeze": 2}, "recipe.freeze: found 2", "recipe.freeze=null"),
        ("muon", {}, "recipe.optimizer: found muon", "recipe=adamw"),
        ("sgd", {"on_nan": "skip"}, "recipe.on_nan: found skip", "recipe.on_nan=stop"),
        ("sgd", {"teacher": TEACHER}, "recipe.teacher: found a teacher", "recipe.teacher=null"),
    ],
)
def test_it_is_refused_and_what_to_type_is_said(name, changes, key, other):
    recipe = Recipe.from_config({**read_group_file("recipe", name), **changes})
    hardware = replace(Hardware.from_config(read_group_file("hardware", "cpu")), strategy="fsdp")
    with pytest.raises(UserError, match=rf"{key}.*shards them.*Try: hardware.strategy=ddp, or {other}$"):
        check_sharding(recipe, hardware)
    check_sharding(recipe, replace(hardware, strategy="ddp"))


def test_plain_training_may_be_sharded():
    recipe = Recipe.from_config(read_group_file("recipe", "sgd"))
    check_sharding(recipe, replace(Hardware.from_config(read_group_file("hardware", "cpu")), strategy="fsdp"))

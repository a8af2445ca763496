"""Runs that were written before a key was there."""

import copy

from visionkit.config_files import read_group_file
from visionkit.runs.later_keys import with_later_keys
from visionkit.settings import Hardware, Recipe


def _older():
    """The groups as a visionkit without the keys has written them."""
    recipe, hardware = read_group_file("recipe", "sgd"), read_group_file("hardware", "cpu")
    recipe = {k: v for k, v in recipe.items() if k not in ("layer_decay", "backbone_lr", "freeze", "unfreeze_at")}
    recipe = {k: v for k, v in recipe.items() if k != "max_time"}
    recipe["schedule"] = {k: v for k, v in recipe["schedule"].items() if k != "power"}
    return {"recipe": recipe, "hardware": {k: v for k, v in hardware.items() if k != "gradient_checkpointing"}}


def test_keys_that_came_later_are_those_that_change_nothing():
    older = _older()
    filled = with_later_keys(older)
    recipe, hardware = Recipe.from_config(filled["recipe"]), Hardware.from_config(filled["hardware"])
    assert (recipe.layer_decay, recipe.backbone_lr, recipe.freeze, recipe.max_time) == (None, None, None, None)
    assert not hardware.gradient_checkpointing
    assert recipe == Recipe.from_config(read_group_file("recipe", "sgd"))


def test_what_is_there_is_kept():
    filled = with_later_keys({"recipe": {"freeze": 2}, "seed": 1})
    assert (filled["recipe"]["freeze"], filled["recipe"]["layer_decay"], filled["seed"]) == (2, None, 1)
    assert "hardware" not in filled


def test_the_schedule_of_a_plugin_gets_no_key():
    assert "power" not in with_later_keys({"recipe": {"schedule": {"type": "mine"}}})["recipe"]["schedule"]


def test_the_given_configuration_is_not_changed():
    older = _older()
    before = copy.deepcopy(older)
    with_later_keys(older)
    assert older == before

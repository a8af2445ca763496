"""Runs that were made before a key was there."""

import copy
import shutil

import pytest
import torch
import yaml

from visionkit.config_files import read_group_file
from visionkit.runs.folder import RunFolder
from visionkit.runs.later_keys import _LATER_KEYS, with_later_keys
from visionkit.settings import Hardware, Recipe


def _older():
    """The groups as a visionkit without the keys has written them."""
    groups = {"recipe": read_group_file("recipe", "sgd"), "hardware": read_group_file("hardware", "cpu")}
    older = {name: {k: v for k, v in group.items() if k not in _LATER_KEYS[name]} for name, group in groups.items()}
    older["recipe"]["schedule"] = {k: v for k, v in older["recipe"]["schedule"].items() if k != "power"}
    return older


def test_keys_that_came_later_leave_a_run_what_it_was():
    filled = with_later_keys({**_older(), "seed": 1})
    assert Recipe.from_config(filled["recipe"]) == Recipe.from_config(read_group_file("recipe", "sgd"))
    assert Hardware.from_config(filled["hardware"]) == Hardware.from_config(read_group_file("hardware", "cpu"))
    off = dict.fromkeys(_LATER_KEYS["recipe"]) | {"checkpoint_every": "10m", "on_nan": "stop"}
    assert {key: filled["recipe"][key] for key in off} == off
    assert filled["hardware"]["gradient_checkpointing"] is False
    assert filled["seed"] == 1


def test_a_key_of_the_beginning_stays_missing_and_what_is_there_is_kept():
    older = _older()
    del older["recipe"]["lr"]
    assert "lr" not in with_later_keys(older)["recipe"]
    assert with_later_keys({"recipe": {**older["recipe"], "freeze": 2}})["recipe"]["freeze"] == 2
    assert with_later_keys({"recipe": 3, "seed": 1}) == {"recipe": 3, "seed": 1}


def test_the_schedule_of_a_plugin_gets_no_key():
    assert "power" not in with_later_keys({"recipe": {"schedule": {"type": "mine"}}})["recipe"]["schedule"]


def test_the_given_configuration_is_not_changed():
    older = _older()
    before = copy.deepcopy(older)
    with_later_keys(older)
    assert older == before


@pytest.mark.slow
@pytest.mark.parametrize("words", [("evaluate",), ("train", "resume=true", "recipe.epochs=2"), ("train",)])
def test_a_run_of_an_earlier_version_is_evaluated_resumed_and_repeated(cli, tmp_path, words, shared_runs):
    made = shared_runs.train("tiny", "debug=fast", "debug.epochs=null", "recipe.epochs=1", "hardware=cpu")
    run = RunFolder(shutil.copytree(made, tmp_path / "run"))
    values = yaml.safe_load(run.config_file.read_text())
    content = torch.load(run.last_checkpoint, weights_only=True)
    for plain in (values, content["hyper_parameters"]):
        for section, keys in _LATER_KEYS.items():
            plain[section] = {key: value for key, value in plain[section].items() if key not in keys}
        del plain["recipe"]["schedule"]["power"]
    run.config_file.write_text(yaml.safe_dump(values))
    torch.save(content, run.last_checkpoint)
    code, out, err = cli(words[0], f"run={run.path}", *words[1:])
    assert code == 0, out + err
    if "resume=true" in words:
        assert [row["epoch"] for row in run.read_history()] == [1, 2]


def test_a_data_set_of_files_leaves_out_no_images_where_the_key_was_not_there():
    older = {key: value for key, value in read_group_file("dataset", "folder").items() if key != "exclude"}
    assert with_later_keys({"dataset": older})["dataset"] == {**older, "exclude": None}
    assert "exclude" not in with_later_keys({"dataset": read_group_file("dataset", "digits")})["dataset"]

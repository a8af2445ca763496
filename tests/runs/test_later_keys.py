"""Runs that were made before a key was there."""

import shutil

import pytest
import torch
import yaml

from visionkit.config_files import read_group_file
from visionkit.runs.folder import RunFolder
from visionkit.runs.later_keys import _LATER_KEYS, with_later_keys
from visionkit.settings import Recipe


def test_keys_that_came_later_have_the_values_of_the_base_file_and_others_stay_missing():
    whole = read_group_file("recipe", "sgd")
    older = {key: value for key, value in whole.items() if key not in _LATER_KEYS["recipe"]}
    assert with_later_keys({"recipe": older, "seed": 1}) == {"recipe": whole, "seed": 1}
    del older["lr"]
    assert "lr" not in with_later_keys({"recipe": older})["recipe"]
    assert with_later_keys({"recipe": {**older, "ema": 3}})["recipe"]["ema"] == 3
    assert with_later_keys({"recipe": 3, "seed": 1}) == {"recipe": 3, "seed": 1}


def test_they_leave_a_run_what_it_was():
    recipe = Recipe.from_config(read_group_file("recipe", "sgd"))
    assert recipe.ema is None


@pytest.mark.slow
@pytest.mark.parametrize("words", [("evaluate",), ("train", "resume=true", "recipe.epochs=2"), ("train",)])
def test_a_run_of_an_earlier_version_is_evaluated_resumed_and_repeated(cli, tmp_path, words, shared_runs):
    made = shared_runs.train("tiny", "debug=fast", "debug.epochs=null", "recipe.epochs=1", "hardware=cpu")
    run = RunFolder(shutil.copytree(made, tmp_path / "run"))
    values = yaml.safe_load(run.config_file.read_text())
    content = torch.load(run.last_checkpoint, weights_only=True)
    for key in _LATER_KEYS["recipe"]:
        del values["recipe"][key], content["hyper_parameters"]["recipe"][key]
    run.config_file.write_text(yaml.safe_dump(values))
    torch.save(content, run.last_checkpoint)
    code, out, err = cli(words[0], f"run={run.path}", *words[1:])
    assert code == 0, out + err
    if "resume=true" in words:
        assert [row["epoch"] for row in run.read_history()] == [1, 2]

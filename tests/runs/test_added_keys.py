"""Runs that were made before a key was there."""

import shutil

import pytest
import yaml

from visionkit.config_files import read_group_file
from visionkit.runs.added_keys import ADDED_KEYS, with_added_keys
from visionkit.runs.folder import RunFolder


def _older(folder):
    """Take the keys from a run's configuration that came later."""
    file = folder / "config.yaml"
    plain = yaml.safe_load(file.read_text())
    for key in ADDED_KEYS:
        section, _, name = key.partition(".")
        del plain[section][name]
    file.write_text(yaml.safe_dump(plain, sort_keys=False))


@pytest.fixture
def older(shared_runs, tmp_path):
    """A copy of a finished run, as an older visionkit wrote it."""
    folder = shutil.copytree(shared_runs.of("classify"), tmp_path / "older")
    _older(folder)
    return folder


def test_keys_that_came_later_stand_for_what_was_done_without_them(older):
    recipe = RunFolder(older).read_config()["recipe"]
    assert recipe["mix"] is None


def test_what_is_there_is_left_alone_and_sections_are_not_made_up():
    assert with_added_keys({"recipe": {"mix": {"p": 1}}})["recipe"]["mix"] == {"p": 1}
    assert with_added_keys({"recipe": 3, "seed": 0}) == {"recipe": 3, "seed": 0}


def test_a_key_that_came_later_is_off_by_default():
    base = read_group_file("recipe", "_base")
    assert {key: base[key.partition(".")[2]] for key in ADDED_KEYS} == dict(ADDED_KEYS)


@pytest.mark.parametrize("words", [("evaluate",), ("train", "resume=true", "recipe.epochs=7")])
def test_a_run_without_them_is_evaluated_and_goes_on(cli, older, words):
    code, _, err = cli(words[0], f"run={older}", *words[1:], "hardware=cpu")
    assert code == 0, err

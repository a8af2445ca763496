"""A run made before a key of the recipe was added is read as if it had its default."""

import re
import shutil

import pytest
import torch

from visionkit.runs.added_keys import with_added_keys


def test_missing_keys_get_their_defaults_and_present_ones_stay():
    plain = {"recipe": {"epochs": 3, "on_nan": "skip"}, "seed": 1}
    assert with_added_keys(plain) == {"recipe": {"epochs": 3, "on_nan": "skip", "teacher": None}, "seed": 1}
    assert with_added_keys({"recipe": 5}) == {"recipe": 5}


@pytest.mark.slow
def test_an_earlier_run_is_evaluated_and_resumed(in_empty_folder, cli, shared_runs):
    shutil.copytree(shared_runs.of("classify"), in_empty_folder / "run")
    config = in_empty_folder / "run" / "config.yaml"
    text = re.sub(r"\n  (on_nan|teacher): .*", "", config.read_text())
    assert "on_nan" not in text
    config.write_text(text)
    for file in (in_empty_folder / "run" / "checkpoints").glob("*.ckpt"):
        content = torch.load(file, weights_only=True)
        for key in ("on_nan", "teacher"):
            del content["hyper_parameters"]["recipe"][key]
        torch.save(content, file)
    assert cli("evaluate", "run=run")[0] == 0
    assert cli("train", "run=run", "resume=true", "recipe.epochs=7", "recipe.on_nan=skip")[0] == 0

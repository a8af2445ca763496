"""Mixed images in whole runs."""

import pytest
from safetensors.torch import load_file

from tests.helpers import commands

MIX = "recipe.mix={mixup: 0.4, cutmix: 1.0, p: 0.9, off_last: 0.0}"


@pytest.mark.slow
def test_weights_are_the_same_in_one_and_two_processes(photos, tmp_path, cli):
    words = commands.changed(commands.overrides(photos), "recipe.batch_size=8")
    ways = {"one": (), "two": ("hardware.devices=2",), "plain": ()}
    weights = {}
    for name, more in ways.items():
        mix = () if name == "plain" else (MIX,)
        code, _, err = cli(*words, *mix, *more, f"run_dir={tmp_path / name}")
        assert code == 0, err
        weights[name] = load_file(tmp_path / name / "model.safetensors")
    for name, value in weights["two"].items():
        # float32 sums of gradients over the images in another order, after three steps
        assert value.allclose(weights["one"][name], rtol=0, atol=2e-5)
    assert not all(weights["one"][name].allclose(value, atol=1e-3) for name, value in weights["plain"].items())


@pytest.mark.slow
def test_a_run_that_goes_on_mixes_what_it_would_have_mixed(photos, tmp_path, cli):
    words = commands.changed(commands.overrides(photos), "recipe.epochs=4", "recipe.schedule.type=constant")
    assert cli(*words, MIX, f"run_dir={tmp_path / 'whole'}")[0] == 0
    assert cli(*commands.changed(words, "recipe.epochs=2"), MIX, f"run_dir={tmp_path / 'cut'}")[0] == 0
    assert cli("train", f"run={tmp_path / 'cut'}", "resume=true", "recipe.epochs=4")[0] == 0
    checkpoints = [load(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("whole", "cut")]
    assert all(checkpoints[0][name].equal(value) for name, value in checkpoints[1].items())


def load(file):
    """The weights of a checkpoint."""
    import torch

    return torch.load(file, weights_only=True)["state_dict"]

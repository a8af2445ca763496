"""One trained backbone starts every task."""

import json

import pytest

SMALL = ("hardware=cpu", "debug=fast", "recipe.batch_size=4", "backbone=lenet", "dataset.scenes.train=16",
         "dataset.scenes.val=4", "dataset.scenes.test=4")  # fmt: skip


@pytest.mark.slow
def test_a_backbone_trained_on_one_task_starts_all_four(cli, tmp_path):
    from safetensors.torch import load_file

    first = tmp_path / "classify"
    assert cli("task=classify", *SMALL, f"run_dir={first}")[0] == 0
    trained = load_file(first / "model.safetensors")
    for task in ("classify", "detect", "segment", "instance"):
        folder = tmp_path / f"{task}_next"
        # so small a rate leaves every weight as it is
        words = (f"task={task}", *SMALL, "recipe.lr=1e-30", f"backbone.weights=run:{first}", f"run_dir={folder}")
        code, out, err = cli(*words)
        assert code == 0, err
        assert f"weights  run:{first}, in the backbone alone" in out
        assert json.loads((folder / "metrics.json").read_text())["epochs"] == 1
        ours = load_file(folder / "model.safetensors")
        for name in (name for name in trained if name.startswith("backbone.")):
            assert ours[name].equal(trained[name]), name

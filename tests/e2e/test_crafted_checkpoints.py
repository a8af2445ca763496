"""Checkpoints that can be read and say what no training says; files of a run that were changed after it."""

import copy
import json
import shutil
from dataclasses import replace

import pytest
import torch
import yaml

from visionkit.data.splitting import read_splits
from visionkit.errors import UserError
from visionkit.runs.checkpoint import load_run_model, read_data_info
from visionkit.runs.config import RunConfig
from visionkit.runs.folder import RunFolder
from visionkit.training.resume import read_resumed


@pytest.fixture(scope="module")
def whole(shared_runs):
    return shared_runs.of("classify")


@pytest.fixture(scope="module")
def state(whole):
    return load_run_model(RunFolder(whole)).state_dict()


@pytest.fixture(scope="module")
def good(whole):
    return torch.load(whole / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.fixture
def folder(whole, tmp_path):
    return RunFolder(shutil.copytree(whole, tmp_path / "run"))


def _resume(folder, state, epochs=10):
    config = RunConfig.from_plain(folder.read_config())
    config = replace(config, recipe=replace(config.recipe, epochs=epochs))
    return read_resumed(config, folder, read_data_info(folder), state)


def _with(*keys, value=None):
    """A change of one value of nested mappings; None removes it."""

    def change(content):
        for key in keys[:-1]:
            content = content[key]
        if value is None:
            del content[keys[-1]]
        else:
            content[keys[-1]] = value

    return change


def _weights(dtype):
    def change(content):
        content["state_dict"] = {name: tensor.to(dtype) for name, tensor in content["state_dict"].items()}

    return change


def _moved(content):
    """Everything says epoch 500."""
    content["epoch"] = 500
    content["loops"]["fit_loop"]["epoch_progress"]["current"]["completed"] = 500


STEP = ("loops", "fit_loop", "epoch_loop.automatic_optimization.optim_progress", "optimizer", "step", "total")
OF_TRAINING = {
    "no optimizer": (_with("optimizer_states", value=[]), "optimizer_states are of 0 optimizers, and there is 1"),
    "two optimizers": (_with("optimizer_states", value=[{}, {}]), "optimizer_states are of 2 optimizers"),
    "an optimizer without state": (_with("optimizer_states", value=[{"a": 1}]), "hold no state and no param_groups"),
    "no moments": (_with("optimizer_states", 0, "state", value={}), "no moments after"),
    "sparse moments": (
        _with("optimizer_states", 0, "state", 0, "momentum_buffer", value=torch.ones(2).to_sparse()),
        "optimizer_states hold what is no plain tensor",
    ),
    "no callbacks": (_with("callbacks", value={}), "callbacks have no Recorder"),
    "a best epoch to come": (_with("callbacks", "Recorder", "best_epoch", value=50), "best_epoch 50 are not those of"),
    "a best score of words": (_with("callbacks", "Recorder", "best_score", value="a"), "best_score 'a'"),
    "epoch 500": (_with("epoch", value=500), "its epoch is 500, and its loops say 5"),
    "epoch 500 everywhere": (_moved, "it was written in epoch 501, and the run has 10"),
    "steps of its own": (_with("global_step", value=7), "its global_step is 7, and its loops say"),
    "no loops": (_with("loops", value={}), "its loops do not say how far it was: no fit_loop.epoch_progress"),
    "no steps": (_with(*STEP), "its loops do not say how far it was: no fit_loop.epoch_loop"),
    "schedules": (_with("lr_schedulers", value=[{}]), "its lr_schedulers are those of another program"),
    "a key too many": (_with("somebody", value=1), "'somebody' is left over"),
    "a weight too many": (_with("state_dict", "teacher.a", value=torch.ones(1)), "'teacher.a' is left over"),
    "an epoch cut of words": (_with("epoch_so_far", value={"losses": "x"}), "epoch_so_far holds no losses"),
}
OF_ALL = {
    "a negative epoch": (_with("epoch", value=-1), "its epoch and step are -1 and"),
    "a negative step": (_with("global_step", value=-3), "its epoch and step are 5 and -3"),
    "integers": (_weights(torch.int64), "is int64, and float32 in the model"),
    "doubles": (_weights(torch.float64), "is float64, and float32 in the model"),
    "halves": (_weights(torch.float16), "is float16, and float32 in the model"),
    "data of words": (_with("data", value="x"), "its data is no mapping"),
}


def _craft(good, change, file):
    content = copy.deepcopy(good)
    change(content)
    torch.save(content, file)


@pytest.mark.parametrize("name", [*OF_TRAINING, *OF_ALL])
def test_a_run_does_not_go_on_from_a_crafted_checkpoint(folder, good, state, name):
    change, words = {**OF_TRAINING, **OF_ALL}[name]
    _craft(good, change, folder.last_checkpoint)
    with pytest.raises(UserError, match=r"^resume: ") as error:
        _resume(folder, state)
    assert words in str(error.value)


def test_a_run_goes_on_from_its_own_checkpoint(folder, good, state):
    assert _resume(folder, state).global_step == good["global_step"]


@pytest.mark.parametrize("name", [*OF_TRAINING, *OF_ALL])
def test_the_state_of_training_is_of_no_consequence_to_evaluate_and_predict(folder, good, state, name):
    folder.weights_file.unlink()
    change, words = {**OF_TRAINING, **OF_ALL}[name]
    _craft(good, change, folder.best_checkpoint)
    if name in OF_TRAINING:
        model = load_run_model(folder).state_dict()
        assert all(torch.equal(model[name], good["state_dict"][f"model.{name}"]) for name in state)
    else:
        with pytest.raises(UserError) as error:
            load_run_model(folder)
        assert words in str(error.value)


DATA = {
    "mean": [0.9], "std": [0.5], "class_names": list("abcdefghij"), "image_size": [32, 40], "value_range": [0.0, 9.0],
    "in_channels": 3,
}  # fmt: skip


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("key", DATA)
def test_data_that_the_weights_were_not_trained_with_are_named(folder, state, key, killed):
    changed = {**read_data_info(folder), key: DATA[key]}
    if key == "in_channels":
        changed |= {"mean": [0.3] * 3, "std": [0.3] * 3}
    folder.data_file.write_text(json.dumps(changed))
    if killed:
        folder.weights_file.unlink()
    for read in (load_run_model, lambda folder: _resume(folder, state)):
        with pytest.raises(UserError, match=r"data.json' has .*were trained with .*Put it back") as error:
            read(folder)
        assert any(f"data.json' has {name} " in str(error.value) for name in (key, "mean", "std"))


def _edit(folder, *keys, value):
    plain = yaml.safe_load(folder.config_file.read_text())
    section = plain
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    folder.config_file.write_text(yaml.safe_dump(plain))


@pytest.mark.parametrize("killed", [False, True])
def test_another_network_than_the_trained_one_is_named_though_its_weights_would_fit(folder, state, killed):
    _edit(folder, "backbone", "layer_defaults", "activation", value="relu")
    if killed:
        folder.weights_file.unlink()
    words = r'^backbone.layer_defaults.activation: found "relu" in .*config.yaml., but .*were trained with "tanh"'
    for read in (load_run_model, lambda folder: _resume(folder, state)):
        with pytest.raises(UserError, match=words):
            read(folder)


def test_a_run_does_not_go_on_with_another_recipe(folder, state):
    _edit(folder, "recipe", "lr", value=0.5)
    with pytest.raises(UserError, match=r"^recipe.lr: found 0.5 in .*but the weights .*last.ckpt' were trained with"):
        _resume(folder, state)
    load_run_model(folder)


@pytest.mark.parametrize(
    ("keys", "value"),
    [(("recipe", "epochs"), 20), (("dataset", "num_workers"), 0), (("hardware", "precision"), "bf16")],
)
def test_what_may_change_when_a_run_goes_on_is_not_compared(folder, state, keys, value):
    _edit(folder, *keys, value=value)
    assert _resume(folder, state, epochs=20).epoch == 5


@pytest.mark.parametrize(
    ("words", "edit", "found"),
    [
        (("evaluate",), lambda run: _change_mean(run), "data.json' has mean"),
        (("predict", "source=photo.png"), lambda run: _change_mean(run), "data.json' has mean"),
        (("train", "resume=true", "recipe.epochs=9"), lambda run: _change_mean(run), "data.json' has mean"),
        (("train", "resume=true", "recipe.epochs=9"), lambda run: _add_rows(run, 3), "has rows of 9 epochs, and the"),
    ],
)
def test_the_command_line_ends_with_2_and_one_line(cli, folder, monkeypatch, words, edit, found):
    from PIL import Image

    monkeypatch.chdir(folder.path.parent)
    Image.new("L", (32, 32)).save("photo.png")
    edit(folder)
    code, out, err = cli(*words, f"run={folder.path}")
    assert (code, err.count("\n")) == (2, 1), out + err
    assert found in err


def _change_mean(folder):
    folder.data_file.write_text(json.dumps({**read_data_info(folder), "mean": [0.9]}))


def _add_rows(folder, count):
    lines = folder.history_file.read_text().splitlines()
    for epoch in range(len(lines), len(lines) + count):
        lines.append(",".join([str(epoch), *lines[-1].split(",")[1:]]))
    folder.history_file.write_text("\n".join(lines) + "\n")


def test_a_division_of_other_images_is_named(tmp_path, cli, monkeypatch):
    """The data of a run with a ``splits.json`` that names an image which is not there."""
    from PIL import Image

    for name in "ab":
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(8):
            Image.new("L", (32, 32), 10 * index + 100 * (name == "b")).save(tmp_path / "photos" / name / f"{index}.png")
    monkeypatch.chdir(tmp_path)
    words = ("dataset=folder", "dataset.root=photos", "dataset.image_size=32", "backbone=lenet", "hardware=cpu")
    assert cli(*words, "debug=fast", "run_dir=run")[0] == 0
    file = tmp_path / "run" / "splits.json"
    splits = read_splits(file)
    splits["train"][0] = "a/99.png"
    file.write_text(json.dumps(splits))
    for verb in (("evaluate",), ("train", "resume=true")):
        code, out, err = cli(*verb, "run=run")
        assert (code, err.count("\n")) == (2, 1), out + err
        assert "a/99.png" in err

"""Weights out of a run and back into a model."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from tests.helpers.tiny_training import Fitted, TinyModel
from visionkit.backbones import read_backbone
from visionkit.errors import UserError
from visionkit.heads import read_head
from visionkit.runs.checkpoint import (
    build_run_model,
    export_best,
    load_best,
    load_weights,
    read_data_info,
    save_weights,
)
from visionkit.runs.folder import RunFolder
from visionkit.runs.weight_fit import check_fit, naming_layers

DATA = {
    "class_names": ["a", "b"], "in_channels": 1, "image_size": [8, 9], "mean": [0.5], "std": [0.2],
    "class_weights": None,
}  # fmt: skip
PLAIN = {
    "task": {"name": "classify"}, "backbone": {"name": "x", "weights": "w.pth"}, "head": {"type": "auto"},
    "weights": "whole.pth",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Fitted(tmp_path_factory.mktemp("run")).fit()


def test_the_best_weights_are_exported_under_the_models_own_names(run):
    export_best(run.folder)
    exported = load_file(run.folder.weights_file)
    saved = torch.load(run.folder.best_checkpoint, weights_only=True)["state_dict"]
    assert set(exported) == {"linear.weight", "linear.bias"}
    assert torch.equal(exported["linear.weight"], saved["model.linear.weight"])


def test_best_and_exported_weights_make_the_same_model(run):
    export_best(run.folder)
    first, second = TinyModel(), TinyModel()
    assert load_best(first, run.folder).epoch + 1 == run.recorder.best_epoch
    load_weights(second, run.folder)
    images = torch.arange(36, dtype=torch.uint8).view(1, 1, 6, 6)
    assert torch.equal(first(images)["logits"], second(images)["logits"])


def test_a_run_without_an_epoch_has_nothing_to_export(tmp_path):
    folder = RunFolder.create("a-b-c", str(tmp_path / "x"), {})
    export_best(folder)
    assert not folder.weights_file.exists()
    with pytest.raises(UserError, match=r"has neither model.safetensors nor checkpoints/best.ckpt.*resume=true"):
        load_weights(TinyModel(), folder)


def test_weights_in_channels_last_layout_are_written_plainly(tmp_path):
    conv = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
    save_weights(conv.state_dict(), tmp_path / "m.safetensors")
    assert torch.equal(load_file(tmp_path / "m.safetensors")["weight"], conv.weight)


def test_weights_and_what_they_were_trained_with_are_the_same_bytes_whenever_they_are_written(tmp_path):
    tensors = {"b": torch.arange(3.0), "a": torch.ones(2, 2), "ä": torch.tensor(3)}
    metadata = {f"key {number}": "ä" * number for number in range(9)}
    files = [tmp_path / f"{number}.safetensors" for number in range(6)]
    for file in files:
        save_weights(tensors, file, metadata=metadata)
    assert len({file.read_bytes() for file in files}) == 1
    with safe_open(files[0], framework="pt") as opened:
        assert opened.metadata() == {"format": "pt", **metadata}
        assert all(torch.equal(opened.get_tensor(name), value) for name, value in tensors.items())


def test_weights_of_another_model_are_refused(run):
    export_best(run.folder)
    with pytest.raises(
        UserError, match=r"do not fit its config.yaml: 'linear.weight' has shape \(3, 36\), and \(3, 5\) in the model"
    ):
        load_weights(nn.ModuleDict({"linear": nn.Linear(5, 3)}), run.folder)


def test_the_layers_that_differ_are_named_and_the_others_counted():
    state = {f"layer{i}.weight": torch.zeros(2) for i in range(4)} | {"head.weight": torch.zeros(3, 2)}
    found = {f"layer{i}.weight": torch.zeros(2) for i in range(1, 4)} | {"head.weight": torch.zeros(5, 2)}
    found |= {"layer3.weight": torch.zeros(2, dtype=torch.float16), "old.weight": torch.zeros(1)}
    with pytest.raises(UserError) as error:
        check_fit(found, state, file=Path("a/checkpoints/last.ckpt"))
    assert (
        "'layer0.weight' is missing, 'old.weight' is left over, 'layer3.weight' is float16, and float32 in the model, "
        "'head.weight' has shape (5, 2), and (3, 2) in the model. Expected"
    ) in str(error.value)
    layers = r"it differs \(layers that differ: 'layer0.weight' is missing, .* and 2 more\)$"
    for weights, words in (({"a": torch.zeros(1)}, layers), (state, r"it differs$")):
        with pytest.raises(UserError, match=words), naming_layers(weights, state):
            raise UserError("it differs")


def test_a_broken_weights_file_is_named(tmp_path):
    folder = RunFolder.create("a-b-c", str(tmp_path / "x"), {})
    folder.weights_file.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"model.safetensors' is no readable safetensors file.*train again: python"):
        load_weights(TinyModel(), folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "has no data.json"),
        ("{", "is no JSON document"),
        ("[]", "holds no mapping"),
        ("{}", "lacks class_names, in_channels, image_size, mean, std"),
        ('{"mean": [0]}', "lacks class_names"),
    ],
)
def test_facts_of_the_data_that_cannot_be_read_are_named(tmp_path, text, words):
    folder = RunFolder.create("a-b-c", str(tmp_path / "x"), {})
    if text is not None:
        folder.data_file.write_text(text)
    with pytest.raises(UserError, match=words):
        read_data_info(folder)


def test_a_model_is_sized_from_the_facts_of_its_data():
    data = {**DATA, "class_names": ["a", "b", "c"], "image_size": [32, 40]}
    model = build_run_model(read_backbone("lenet", in_channels=1), read_head("auto", task="classify"), data)
    images = torch.zeros(2, 1, 32, 40, dtype=torch.uint8)
    assert model(images)["logits"].shape == (2, 3)
    torch.testing.assert_close(model.normalize(images)[0, 0, 0, 0], torch.tensor(-0.5 / 0.2))


def test_counted_class_weights_take_the_place_of_the_word():
    head = read_head({"type": "linear", "class_weights": "balanced"}, task="classify")
    data = {**DATA, "image_size": [32, 32], "class_weights": [1.0, 3.0]}
    model = build_run_model(read_backbone("lenet", in_channels=1), head, data)
    assert model.head.class_weights.tolist() == [1.0, 3.0]
    assert head.class_weights == "balanced"


class _RunsCode:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def _strange_checkpoints(good, canary):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000_000))
    yield "code", {**good, "x": _RunsCode(canary)}
    yield "bare code", pickle.dumps(_RunsCode(canary))
    yield "zip bomb", file.getvalue()
    yield "empty", b""
    yield "junk", bytes(range(256))
    yield "list", [1]
    yield "no epoch", {"state_dict": good["state_dict"]}
    yield "other shapes", {**good, "state_dict": {"model.linear.weight": torch.zeros(2)}}


@pytest.mark.parametrize("number", range(8))
def test_a_strange_checkpoint_is_refused_and_its_code_is_not_run(run, tmp_path, number):
    good = torch.load(run.folder.best_checkpoint, weights_only=True)
    _, content = list(_strange_checkpoints(good, tmp_path / "canary"))[number]
    folder = RunFolder(tmp_path / "run")
    folder.best_checkpoint.parent.mkdir(parents=True)
    if isinstance(content, bytes):
        folder.best_checkpoint.write_bytes(content)
    else:
        torch.save(content, folder.best_checkpoint)
    message = r"best.ckpt' (is no checkpoint that train wrote|do not fit its config.yaml)"
    with pytest.raises(UserError, match=message) as error:
        load_weights(TinyModel(), folder)
    assert "weights_only" not in str(error.value)  # torch's own words advise to run the code
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("class_names", 2**63),
        ("class_names", []),
        ("class_names", ["a", None]),
        ("in_channels", True),
        ("in_channels", 10**9),
        ("image_size", [[]]),
        ("image_size", [8, -1]),
        ("mean", [0.5, 0.5]),
        ("std", [0]),
        ("std", [float("nan")]),
        ("category_ids", [1]),
        ("class_weights", "ab"),
        ("value_range", [5, 5]),
        ("value_range", "x"),
    ],
)
def test_values_of_the_data_that_train_never_writes_are_named(tmp_path, key, value):
    folder = RunFolder(tmp_path)
    folder.data_file.write_text(json.dumps({**DATA, key: value}))
    with pytest.raises(UserError, match=rf"data.json': {key} is .*it is not the file that train wrote"):
        read_data_info(folder)

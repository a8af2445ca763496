"""Files of a run that are damaged, or of another program: one message that names the file, from every verb."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from tests.helpers import damage
from visionkit.backbones.weights.sources import find_weights
from visionkit.data.splitting import read_splits, restore_splits
from visionkit.errors import UserError
from visionkit.models.weights.load import load_initial_weights
from visionkit.runs.checkpoint import load_run_model, read_data_info
from visionkit.runs.config import RunConfig
from visionkit.runs.folder import RunFolder
from visionkit.sweeps.folder import SweepFolder
from visionkit.sweeps.job import read_metrics
from visionkit.training.resume import check_resumable, read_resumed

LAST, BEST, WEIGHTS = "checkpoints/last.ckpt", "checkpoints/best.ckpt", "model.safetensors"


@pytest.fixture(scope="module")
def whole(shared_runs):
    return shared_runs.of("classify")


@pytest.fixture(scope="module")
def model(whole):
    return load_run_model(RunFolder(whole))


@pytest.fixture
def run(whole, tmp_path):
    """A copy of a finished run."""
    return shutil.copytree(whole, tmp_path / "run")


def _open(run, model):
    RunConfig.from_plain(RunFolder.open(str(run)).read_config())


def _resume(run, model):
    folder = RunFolder.open(str(run))
    config = RunConfig.from_plain(folder.read_config())
    config = replace(config, recipe=replace(config.recipe, epochs=10))
    check_resumable(config, folder)
    return read_resumed(config, folder, read_data_info(folder), model.state_dict())


def _start_from(run, model):
    load_initial_weights(model, weights=f"run:{run}", backbone_weights=None)


def _load(run, model):
    load_run_model(RunFolder.open(str(run)))


def _read_splits(run, model):
    restore_splits(read_splits(run / "splits.json"), ["a.png", "b.png"], dataset="folder", root="photos")


def _open_sweep(run, model):
    SweepFolder.open(str(run), ["seed=0,1"])


def _text_cases():
    """File, what reads it, what is wrong, and its content."""
    for name, content in damage.TEXTS.items():
        yield "config.yaml", _open, name, content
        yield "data.json", lambda run, model: read_data_info(RunFolder(run)), name, content
        yield "data.json", lambda run, model: find_weights(f"run:{run}", model.backbone.spec), name, content
        yield "metrics.csv", _resume, name, content
        yield "metrics.json", lambda run, model: read_metrics(RunFolder(run)), name, content
        yield "splits.json", _read_splits, name, content
        yield "sweep.yaml", _open_sweep, name, content
        yield "sweep.csv", _open_sweep, name, content
    for name, content in damage.JSONS.items():
        yield "data.json", _load, name, content
        yield "data.json", _start_from, name, content
        yield "metrics.json", lambda run, model: read_metrics(RunFolder(run)), name, content
        yield "splits.json", _read_splits, name, content
    for name, text in {
        "columns of another program": "step,train_loss\n1,0.5\n",
        "epochs from 0": "epoch,step\n0,1\n1,2\n",
        "an epoch left out": "epoch,step\n1,1\n3,2\n",
        "an epoch twice": "epoch,step\n1,1\n1,2\n",
        "NaN": "epoch,step\nnan,1\n",
        "an endless epoch": "epoch,step\ninf,1\n",
        "a row cut off": "epoch,step,lr\n1,1,0.1\n2,2\n",
        "a column twice": "epoch,epoch\n1,1\n",
        "words": "epoch,step\n1,many\n",
    }.items():
        yield "metrics.csv", _resume, name, text.encode()
    for name, values in {"words": {"a": "x"}, "a list": {"a": [1]}, "truth": {"a": True}}.items():
        yield "metrics.json", lambda run, model: read_metrics(RunFolder(run)), name, json.dumps(values).encode()
    for name, text in {
        "a list": "[1]",
        "no words": "a: 1",
        "a number": "overrides: 3",
        "a search": "search: 1",
    }.items():
        yield "sweep.yaml", _open_sweep, name, text.encode()
    for name, splits in {
        "numbers": {"train": [1], "val": [2]},
        "a split too many": {"train": ["a.png"], "val": ["b.png"], "password": []},
        "no val": {"train": ["a.png"]},
    }.items():
        yield "splits.json", _read_splits, name, json.dumps(splits).encode()


@pytest.mark.parametrize(
    ("file", "read", "content"),
    [pytest.param(file, read, content, id=f"{file}-{name}") for file, read, name, content in _text_cases()],
)
def test_a_text_file_that_train_did_not_write_is_named_in_one_message(run, model, file, read, content):
    (run / "sweep.yaml").write_text("overrides: ['seed=0,1']\n")
    damage.write(run / file, content)
    with pytest.raises(UserError) as error:
        read(run, model)
    assert file in str(error.value) or "saved division" in str(error.value)
    assert len(str(error.value)) < 1000


BINARY_NAMES = list(damage.binaries(b"x" * 200))
OBJECT_NAMES = list(damage.objects({"a": torch.ones(1)}))
SAFETENSORS_NAMES = list(damage.safetensors({"a": torch.ones(1)}))


def _content(file, name, whole, model):
    """The content of a case."""
    binary = damage.binaries((whole / file).read_bytes())
    if name in binary:
        return binary[name]
    state = model.state_dict()
    if file == WEIGHTS:
        return damage.safetensors(state)[name]
    return damage.torch_bytes(damage.objects(state)[name])


def _refused(read, run, model, words):
    with pytest.raises(UserError) as error:
        read(run, model)
    assert words in str(error.value)
    assert len(str(error.value)) < 1200


@pytest.mark.parametrize("name", [*BINARY_NAMES, *OBJECT_NAMES])
def test_a_run_does_not_go_on_from_a_checkpoint_that_is_none_of_its_own(run, whole, model, name):
    (run / BEST).unlink()
    damage.write(run / LAST, _content(LAST, name, whole, model))
    _refused(_resume, run, model, str(run / LAST))


@pytest.mark.parametrize("name", [*BINARY_NAMES, *OBJECT_NAMES])
def test_evaluate_and_predict_take_no_checkpoint_but_one_of_the_run(run, whole, model, name):
    (run / WEIGHTS).unlink()
    damage.write(run / BEST, _content(BEST, name, whole, model))
    _refused(_load, run, model, "model.safetensors" if name == "a folder" else str(run / BEST))


@pytest.mark.parametrize("read", [_load, _start_from], ids=["evaluate", "weights="])
@pytest.mark.parametrize("name", sorted({*BINARY_NAMES, *SAFETENSORS_NAMES} - {"scratched"}))  # it has no checksums
def test_weights_that_are_not_those_of_the_run_are_refused(run, whole, model, name, read):
    shutil.rmtree(run / "checkpoints")
    damage.write(run / WEIGHTS, _content(WEIGHTS, name, whole, model))
    # what can be read, but does not fit, is called as it was typed
    _refused(read, run, model, f"'run:{run}'" if read is _start_from and name not in BINARY_NAMES else WEIGHTS)


@pytest.mark.parametrize("suffix", ["pth", "ckpt"])
@pytest.mark.parametrize("name", [*BINARY_NAMES, *OBJECT_NAMES])
def test_a_model_does_not_start_from_a_file_that_holds_no_weights_of_its_own(tmp_path, whole, name, suffix):
    model = load_run_model(RunFolder(whole))
    if name in ("a bare state dict", "an epoch of words", "a negative epoch", "an endless epoch"):
        pytest.skip("these are the weights of the network")
    file = tmp_path / f"net.{suffix}"
    damage.write(file, _content(LAST, name, whole, model))
    with pytest.raises(UserError, match=rf"net\.{suffix}"):
        load_initial_weights(model, weights=str(file), backbone_weights=None)


@pytest.mark.parametrize(
    ("words", "file", "content"),
    [
        (["evaluate"], WEIGHTS, b"x"),
        (["evaluate"], "data.json", b"{"),
        (["predict", "source=photo.png"], "data.json", b"NaN"),
        (["train", "resume=true", "recipe.epochs=9"], "metrics.csv", b"epoch\nnan\n"),
        (["train", "resume=true", "recipe.epochs=9"], LAST, damage.torch_bytes({"state_dict": {}})),
        (["config"], "config.yaml", b"\x00"),
    ],
)
def test_the_command_line_ends_with_2_and_one_line(cli, run, monkeypatch, words, file, content):
    from PIL import Image

    monkeypatch.chdir(run.parent)
    Image.new("L", (32, 32)).save("photo.png")
    shutil.rmtree(run / "checkpoints") if file == WEIGHTS else None
    damage.write(run / file, content)
    if file == LAST:
        (run / BEST).unlink()
    code, out, err = cli(*words, f"run={run}")
    assert (code, err.count("\n")) == (2, 1), out + err
    assert err.startswith("visionkit: ")
    assert file.rpartition("/")[2] in err

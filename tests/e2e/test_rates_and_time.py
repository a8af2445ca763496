"""Frozen stages, checkpointed gradients and a limited time on the command line."""

import csv
import json

import pytest
import torch

from tests.helpers import commands
from visionkit.training.callbacks.time_limit import TimeLimit

NET = """\
name: two
in_channels: 3
image_size: 32
layer_defaults: {norm: batch}
stages:
  a: {conv: {type: conv, out_channels: 4, kernel_size: 3, stride: 2}}
  b: {conv: {type: conv, out_channels: 4, kernel_size: 3, stride: 2}}
classifier: {dropout: 0.2}
"""


@pytest.fixture
def words(photos, in_empty_folder):
    """A training of a small network with batch norm, four batches an epoch."""
    (in_empty_folder / "two.yaml").write_text(NET)
    return commands.changed(commands.overrides(photos), "backbone=two.yaml")


def _rows(folder):
    timings = ("seconds", "images_per_second", "data_wait")
    with (folder / "metrics.csv").open() as file:
        return [{key: text for key, text in row.items() if key not in timings} for row in csv.DictReader(file)]


def _training_state(folder):
    content = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    state = content["optimizer_states"][0]["state"]
    moments = {f"{i}.{name}": value for i, values in state.items() for name, value in values.items()}
    return {**content["state_dict"], **{name: x for name, x in moments.items() if isinstance(x, torch.Tensor)}}


def _assert_equal(one, other):
    assert _rows(one) == _rows(other)
    a, b = _training_state(one), _training_state(other)
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


def _assert_over(folder, cli):
    """Resumed with the same time, a run of 4000 seconds is refused, and keeps its results."""
    file = folder / "checkpoints" / "last.ckpt"
    whole, content = file.read_bytes(), torch.load(file, weights_only=True)
    content["callbacks"]["TimeLimit"]["seconds"] = 4000.0
    torch.save(content, file)
    code, _, err = cli("train", f"run={folder}", "resume=true")
    assert code == 2
    assert f"recipe.max_time: found 1h, but '{folder}' has trained for 1h6m40s, which counts" in err
    assert (folder / "metrics.json").exists()
    file.write_bytes(whole)


def test_a_time_shorter_than_an_epoch_gives_results_and_can_be_gone_on_from(words, cli, in_empty_folder, monkeypatch):
    words = commands.changed(words, "recipe.epochs=2")
    looks = []
    with monkeypatch.context() as patch:
        patch.setattr(TimeLimit, "is_over", property(lambda limit: len(looks.append(1) or looks) >= 2))
        code, out, err = cli(*words, "recipe.max_time=1h", "run_dir=cut")
    assert code == 0, out + err
    assert "recipe.max_time=1h ended the training in epoch 1 of 2, 2 of its 4 batches" in out
    assert "the schedule is made for all 2 epochs" in out
    assert "That is less than one epoch, so the results are those of 2 batches" in out
    assert "resume=true recipe.max_time=2h" in out
    assert [row["step"] for row in _rows(in_empty_folder / "cut")] == ["2"]
    metrics = json.loads((in_empty_folder / "cut" / "metrics.json").read_text())
    assert (metrics["best_epoch"], metrics["test/accuracy"] >= 0) == (1, True)
    assert any(
        "recipe.max_time=1h" in note for note in json.loads((in_empty_folder / "cut" / "notes.json").read_text())
    )
    _assert_over(in_empty_folder / "cut", cli)
    assert cli("train", "run=cut", "resume=true", "recipe.max_time=2h")[0] == 0
    assert cli(*words, "run_dir=whole")[0] == 0
    _assert_equal(in_empty_folder / "whole", in_empty_folder / "cut")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["adamw", "muon"])
def test_a_run_that_thaws_is_resumed_in_both_phases_to_the_last_bit(words, cli, in_empty_folder, recipe):
    words = (*words, f"recipe={recipe}", "recipe.freeze=1", "recipe.unfreeze_at=2")
    words = (*words, "recipe.schedule.type=constant", "recipe.schedule.warmup_epochs=0")
    whole = commands.changed(words, "recipe.epochs=4", "run_dir=whole")
    code, out, err = cli(*whole)
    assert code == 0, out + err
    assert "frozen   a: 116 parameters are not trained, until epoch 3" in out
    assert cli(*words, "run_dir=parts")[0] == 0
    for epochs in (2, 3, 4):
        code, out, err = cli("train", "run=parts", "resume=true", f"recipe.epochs={epochs}")
        assert code == 0, out + err
    _assert_equal(in_empty_folder / "whole", in_empty_folder / "parts")


@pytest.mark.slow
def test_two_processes_thaw_and_checkpoint_as_one_process_trains(words, cli, in_empty_folder):
    words = commands.changed(words, "recipe.epochs=2")
    words = (
        *words,
        "recipe.freeze=1",
        "recipe.unfreeze_at=1",
        "recipe.layer_decay=0.5",
        "backbone.classifier.dropout=0.0",
    )
    assert cli(*words, "run_dir=one")[0] == 0
    two = ("hardware.devices=2", "hardware.gradient_checkpointing=true", "run_dir=two")
    code, out, err = commands.run(in_empty_folder, *words, *two)
    assert code == 0, out + err
    one, two = (commands.checkpoint_weights(in_empty_folder / name) for name in ("one", "two"))
    moved = one["model.backbone.a.conv.norm.running_mean"].abs().max()
    assert moved > 1e-3
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-5  # sums in another order


@pytest.mark.slow
def test_a_run_that_was_made_before_these_keys_is_evaluated_used_and_resumed(words, cli, in_empty_folder, photos):
    assert cli(*words, "run_dir=old")[0] == 0
    folder = in_empty_folder / "old"
    lines = (folder / "config.yaml").read_text().splitlines()
    later = ("layer_decay", "backbone_lr", "freeze", "unfreeze_at", "max_time", "power", "gradient_checkpointing")
    kept = [line for line in lines if line.strip().partition(":")[0] not in later]
    assert len(kept) == len(lines) - len(later)
    (folder / "config.yaml").write_text("\n".join(kept) + "\n")
    for file in (folder / "checkpoints").glob("*.ckpt"):
        content = torch.load(file, weights_only=True)
        config = content["hyper_parameters"]
        for section in (config["recipe"], config["recipe"]["schedule"], config["hardware"]):
            for key in later:
                section.pop(key, None)
        content["callbacks"].pop("TimeLimit", None)
        torch.save(content, file)
    for command in (
        ("evaluate", "run=old"),
        ("predict", "run=old", f"source={photos / 'test' / 'cat'}"),
        ("train", "run=old", "resume=true", "recipe.epochs=2"),
        ("train", "run=old", "run_dir=again"),
    ):
        code, out, err = cli(*command)
        assert code == 0, out + err


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        (("recipe.unfreeze_at=2",), "recipe.unfreeze_at: found 2, but nothing is frozen: recipe.freeze is null"),
        (("recipe.freeze=3",), "recipe.freeze: found 3, but backbone two has 2 stages below this head: a, b."),
        (("recipe.freeze=1", "hardware.strategy=fsdp"), "recipe.freeze: found 1, which needs whole weights"),
        (("recipe=muon", "hardware.strategy=fsdp"), "recipe.optimizer: found muon, which needs whole weights"),
        (("recipe.max_time=20",), "recipe.max_time: expected a duration such as 30s, 20m, 1h or 1h30m"),
        (
            ("hardware.compile=true", "hardware.gradient_checkpointing=true"),
            "hardware.gradient_checkpointing: found true with hardware.compile=true",
        ),
        (("~backbone.stages.b", "recipe.layer_decay=0.7"), "recipe.layer_decay: found 0.7, but backbone two has one"),
    ],
)
def test_what_excludes_each_other_is_refused_before_anything_is_written(words, cli, in_empty_folder, typed, answer):
    code, out, err = cli(*words, *typed, "run_dir=run")
    assert code == 2, out + err
    assert answer in err
    assert not (in_empty_folder / "run").exists()


def test_a_network_of_timm_is_not_checkpointed(words, cli):
    pytest.importorskip("timm")
    timm = commands.changed(words, "backbone=timm", "hardware.gradient_checkpointing=true")
    code, _, err = cli(*timm, "backbone.model=resnet18", "run_dir=run")
    assert code == 2
    assert "backbone timm-resnet18 computes its stages in one call" in err

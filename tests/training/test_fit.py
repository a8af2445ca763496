"""The verbs train and evaluate on the embedded digits, below the command line."""

import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

import visionkit
from tests.helpers.pictures import blank_pictures
from visionkit.backbones.files import backbone_file, load_backbone_file
from visionkit.config_files import read_group_file
from visionkit.distributed.processes import Processes
from visionkit.errors import UserError
from visionkit.runs import checkpoint
from visionkit.runs.checkpoint import load_run_model
from visionkit.runs.config import RunConfig
from visionkit.runs.folder import RunFolder
from visionkit.training.evaluation import evaluate_run
from visionkit.training.fit import train
from visionkit.training.setup import RunSetup

FILES = {
    "task": "classify", "backbone": "lenet", "head": "auto", "dataset": "digits", "recipe": "sgd", "hardware": "cpu",
    "logger": "none", "debug": "fast",
}  # fmt: skip


def _config(run_dir, **changes):
    plain = {g: read_group_file(g, n) for g, n in FILES.items() if g not in ("task", "backbone")}
    plain["backbone"] = load_backbone_file(backbone_file(FILES["backbone"]))
    plain["task"] = {"name": FILES["task"]}
    plain |= {
        "seed": 0,
        "run_dir": str(run_dir),
        "weights": None,
        "plugins": [],
        "strict": False,
        "format": "text",
        "callbacks": [],
    }
    for key, value in changes.items():
        group, _, name = key.partition("__")
        if name:
            plain[group][name] = value
        else:
            plain[key] = value
    return RunConfig.from_plain(plain)


def _evaluate(config, folder, **options):
    return evaluate_run(config, folder, Processes.plan(config.hardware), **options)


@pytest.fixture(autouse=True)
def _blank():
    """Only the run that the tests share has its pictures rendered."""
    with blank_pictures():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "digits"
    config = _config(path, debug__epochs=2, debug__limit_batches=None, head__class_weights="balanced")
    assert train(config).code == 0
    return config, RunFolder(path)


def test_a_run_leaves_all_its_files(run):
    _, folder = run
    names = {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if path.is_file()}
    assert names >= {
        "config.yaml", "data.json", "environment.json", "log.txt", "metrics.csv", "metrics.json", "model.safetensors",
        "per_class.csv", "confusion_matrix.csv", "checkpoints/best.ckpt", "checkpoints/last.ckpt", "plots/curves.png",
        "plots/confusion_matrix.png", "plots/train_batch.png", "plots/predictions.png",
    }  # fmt: skip
    assert not [name for name in names if name.endswith(".tmp")]


def test_the_resolved_configuration_is_kept_as_it_was(run):
    config, folder = run
    assert folder.read_config() == dict(config.plain)
    checkpoint = torch.load(folder.last_checkpoint, weights_only=True)
    assert checkpoint["hyper_parameters"] == dict(config.plain)


def test_metrics_are_one_flat_object_of_test_and_validation_numbers(run):
    _, folder = run
    metrics = json.loads(folder.metrics_file.read_text())
    names = {"loss", "accuracy", "top5_accuracy", "f1_macro", "calibration_error"}
    assert set(metrics) == {
        *(f"test/{name}" for name in names), *(f"val/{name}" for name in names), "best_epoch", "epochs",
        "training_seconds", "parameters", "test/accuracy_low", "test/accuracy_high",
    }  # fmt: skip
    assert all(isinstance(value, (int, float)) for value in metrics.values())
    assert metrics["test/accuracy"] > 0.5


def test_balanced_class_weights_are_counted_in_the_training_split(run):
    config, folder = run
    weights = json.loads(folder.data_file.read_text())["class_weights"]
    labels = config.source.splits(seed=0).samples["train"].labels
    counts = torch.bincount(labels, minlength=10).tolist()
    assert weights == pytest.approx([sum(counts) / (10 * count) for count in counts])


def test_the_log_holds_what_was_printed_and_how_to_go_on(run):
    _, folder = run
    log = folder.log_file.read_text()
    for words in ("lenet, 61,706 parameters", "epoch 2/2", "test/accuracy", f"visionkit evaluate run={folder.path}"):
        assert words in log
    assert "\x1b" not in log


def test_the_weights_of_the_run_make_its_model_again(run):
    config, folder = run
    model = load_run_model(folder)
    assert not model.training
    samples = config.source.splits(seed=0).samples["test"]
    images = torch.stack([config.source.input_transform()(samples.image(i)) for i in range(len(samples))])
    with torch.inference_mode():
        right = (model.predict(model(images))["labels"] == samples.labels).float().mean().item()
    assert right == pytest.approx(json.loads(folder.metrics_file.read_text())["test/accuracy"], abs=1e-6)


def test_evaluation_repeats_the_numbers_of_the_run_and_writes_nothing(run, capsys):
    config, folder = run
    before = sorted(folder.path.rglob("*"))
    as_json = RunConfig.from_plain({**config.plain, "format": "json"})
    assert _evaluate(as_json, folder).split == "test"
    document = json.loads(capsys.readouterr().out)
    kept = json.loads(folder.metrics_file.read_text())
    assert document["split"] == "test"
    assert document["metrics"] == pytest.approx({k: v for k, v in kept.items() if k.startswith("test/")}, abs=1e-5)
    assert sorted(folder.path.rglob("*")) == before


def test_any_split_can_be_evaluated(run, capsys):
    config, folder = run
    assert _evaluate(config, folder, split="train").split == "train"
    assert "train/accuracy" in capsys.readouterr().out


def test_a_split_that_is_not_there_lists_those_that_are(run):
    config, folder = run
    with pytest.raises(
        UserError, match=r"split: found 'tset'.*Expected one of: train, val, test\. Did you mean 'test'"
    ):
        _evaluate(config, folder, split="tset")


def test_the_same_seed_gives_the_same_run(run, tmp_path):
    config, folder = run
    again = RunConfig.from_plain({**config.plain, "run_dir": str(tmp_path / "again")})
    train(again)
    first, second = (RunFolder(path).read_history() for path in (folder.path, tmp_path / "again"))
    for a, b in zip(first, second, strict=True):
        assert a["train/loss"] == pytest.approx(b["train/loss"], rel=1e-5)
        assert a["val/accuracy"] == b["val/accuracy"]


def test_json_is_the_only_thing_on_standard_output(tmp_path, capsys):
    assert train(_config(tmp_path / "x", format="json")).code == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["run"] == str(tmp_path / "x")
    assert document["split"] == "test"
    assert "epoch 1/1" in captured.err


def test_a_run_dir_in_use_and_a_missing_gpu_are_named_before_anything_is_written(run, tmp_path, monkeypatch):
    config, _ = run
    with pytest.raises(UserError, match="already holds a run"):
        train(config)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match="hardware=cpu"):
        train(_config(tmp_path / "x", hardware__accelerator="gpu"))
    assert list(tmp_path.iterdir()) == []


def test_a_failure_before_training_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_args):
        raise UserError("no")

    monkeypatch.setattr(checkpoint, "build_run_model", fail)
    with pytest.raises(UserError, match="no"):
        train(_config(tmp_path / "x" / "y"))
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_continued_in_its_own_folder(tmp_path):
    folder = RunFolder(tmp_path / "x")
    train(_config(folder.path))
    train(_config(folder.path, debug__epochs=3), resume_from=folder)
    assert [row["epoch"] for row in folder.read_history()] == [1, 2, 3]


def test_a_checkpoint_is_read_once_when_a_run_goes_on(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path / "x")
    train(_config(folder.path))
    read, load = [], torch.load
    monkeypatch.setattr(torch, "load", lambda path, **options: (read.append(str(path)), load(path, **options))[1])
    train(_config(folder.path, debug__epochs=2), resume_from=folder)
    assert read.count(str(folder.last_checkpoint)) == 1


def test_a_run_without_a_checkpoint_cannot_be_continued(tmp_path):
    folder = RunFolder.create("a-b-c", str(tmp_path / "x"), {})
    with pytest.raises(UserError, match=r"resume: .* has no checkpoints/last.ckpt"):
        train(_config(folder.path), resume_from=folder)


@pytest.fixture
def pictures(tmp_path):
    """Two classes of 20 grey 8x8 images, not divided."""
    random = numpy.random.RandomState(0)
    for name in ("a", "b"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for index in range(20):
            pixels = random.randint(0, 256, (8, 8)).astype(numpy.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{index:02}.png")
    return tmp_path / "pictures"


def _folder_config(run_dir, root, **changes):
    folder = read_group_file("dataset", "folder")
    folder |= {"root": str(root), "image_size": 32, "in_channels": 1, "augment": {}, **changes.pop("data", {})}
    return _config(run_dir, dataset=folder, recipe__batch_size=8, **changes)


def test_a_try_out_does_not_compare_the_contents_of_files(tmp_path, pictures):
    assert not _folder_config(tmp_path / "x", pictures).source.compare_contents
    assert _folder_config(tmp_path / "x", pictures, debug__compare_contents=True).source.compare_contents


def test_a_resumed_run_keeps_its_new_configuration(tmp_path):
    folder = RunFolder(tmp_path / "x")
    train(_config(folder.path))
    config = _config(folder.path, debug__epochs=2)
    config = RunConfig.from_plain({**config.plain, "run_dir": None})
    train(config, resume_from=folder)
    assert folder.read_config() == dict(config.plain)


def test_a_finished_run_that_is_resumed_is_tested_again(tmp_path, capsys):
    folder = RunFolder(tmp_path / "x")
    train(_config(folder.path, debug__epochs=2))
    before = json.loads(folder.metrics_file.read_text())
    folder.metrics_file.unlink()
    capsys.readouterr()
    assert train(_config(folder.path, debug__epochs=2), resume_from=folder).code == 0
    out = capsys.readouterr().out
    assert f"all 2 epochs were trained before; best epoch {before['best_epoch']}" in out
    assert "stopped early" not in out
    assert json.loads(folder.metrics_file.read_text()) == pytest.approx(before, abs=1e-5)


def test_a_run_cannot_be_resumed_into_fewer_epochs(tmp_path):
    folder = RunFolder(tmp_path / "x")
    train(_config(folder.path, debug__epochs=2))
    with pytest.raises(UserError, match=r"recipe.epochs: found 1, but .* has 2 epochs behind it.*Try: recipe.epochs=2"):
        train(_config(folder.path, debug__epochs=1), resume_from=folder)


@pytest.mark.parametrize("resume", [False, True])
def test_data_of_other_classes_are_refused(tmp_path, pictures, resume):
    folder = RunFolder(tmp_path / "x")
    train(_folder_config(folder.path, pictures))
    before = folder.data_file.read_text()
    (pictures / "a").rename(pictures / "c")
    config = _folder_config(folder.path, pictures)
    with pytest.raises(
        UserError, match=r"dataset: class 0 is 'a' in the run \(2 classes\), but 'b' in data set"
    ) as stop:
        train(config, resume_from=folder) if resume else _evaluate(config, folder)
    assert "Try another dataset.root=" in str(stop.value)
    assert folder.data_file.read_text() == before


@pytest.mark.parametrize(("key", "value", "words"), [
    ("image_size", 40, r"dataset.image_size: the run has \[32, 32\], but data set 'folder' has \[40, 40\]"),
    ("in_channels", 3, r"dataset.in_channels: the run has 1, but data set 'folder' has 3"),
])  # fmt: skip
def test_data_of_another_size_or_colour_are_refused(tmp_path, pictures, key, value, words):
    folder = RunFolder(tmp_path / "x")
    train(_folder_config(folder.path, pictures))
    with pytest.raises(UserError, match=words):
        _evaluate(_folder_config(folder.path, pictures, data={key: value}), folder)


@pytest.mark.parametrize("resume", [False, True])
def test_a_lost_division_is_not_made_anew(tmp_path, pictures, resume):
    folder = RunFolder(tmp_path / "x")
    config = _folder_config(folder.path, pictures)
    train(config)
    folder.splits_file.unlink()
    with pytest.raises(UserError, match=r"has lost its splits.json.*Put the file back, or train again"):
        train(config, resume_from=folder) if resume else _evaluate(config, folder)
    assert not folder.splits_file.exists()


def test_images_that_prove_broken_later_are_named_after_training_and_test(tmp_path, pictures, capsys):
    for split in ("train", "val", "test"):
        for name in ("a", "b"):
            (pictures / split / name).mkdir(parents=True)
    for name in ("a", "b"):
        for index, path in enumerate(sorted((pictures / name).glob("*.png"))):
            path.rename(pictures / ("train", "val", "test")[max(0, index - 17)] / name / path.name)
        (pictures / name).rmdir()
    broken = [pictures / "train" / "a" / "03.png", pictures / "test" / "b" / "19.png"]
    for path in broken:
        path.write_bytes(f"broken {path.name}".encode())
    data = {"cache_mb": 0, "num_workers": 0}
    assert train(_folder_config(tmp_path / "x", pictures, data=data, debug__limit_batches=None)).code == 0
    out = capsys.readouterr().out
    notes = ("of train replaced by the next readable one", "of test dropped")
    positions = [out.index(f"1 unreadable image(s) {note}: {p}") for note, p in zip(notes, broken, strict=True)]
    assert out.index("trained for") < positions[0] < positions[1]
    assert out.count("unreadable") == 2
    assert out.count("unreadable") == RunFolder(tmp_path / "x").log_file.read_text().count("unreadable")


def test_commands_to_go_on_with_name_the_plugins(run, monkeypatch):
    config, folder = run
    some = RunSetup(replace(config, plugins=("a.b", "c")), folder, None, Processes("cpu"), None, {}, None)
    assert some.arguments == f"run={folder.path} 'plugins=[a.b,c]'"
    assert replace(some, config=config).arguments == f"run={folder.path}"


def test_the_configuration_is_handed_down_and_seldom_asked_for_again(tmp_path, monkeypatch):
    """A climb: after a read deep in the stack of calls, the next one is in another file nearer to its top."""
    package = Path(visionkit.__file__).parent
    reads = []

    def read(config, name):
        frame = sys._getframe(1)
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(package):
            depth = 0
            while frame is not None:
                frame, depth = frame.f_back, depth + 1
            reads.append((file.relative_to(package).as_posix(), depth))
        return object.__getattribute__(config, name)

    config = _config(tmp_path / "x")
    monkeypatch.setattr(RunConfig, "__getattribute__", read)
    train(config)
    climbs = [
        (before, after)
        for (before, depth), (after, next_depth) in itertools.pairwise(reads)
        if after != before and next_depth < depth
    ]
    assert len(reads) > 20
    assert {file.partition("/")[0] for file, _ in reads} == {"runs", "training"}
    assert len(climbs) <= 10, climbs


def test_gradients_are_clipped_in_mixed_precision(tmp_path):
    assert train(_config(tmp_path / "x", hardware__precision="bf16", recipe__clip_norm=1.0)).code == 0

"""Train, evaluate, predict and resume through the real command line, on small real handwriting."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from tests.helpers import commands

FAST = ("hardware=cpu", "recipe.epochs=2")
FILES = {
    "config.yaml", "metrics.json", "metrics.csv", "checkpoints/best.ckpt", "checkpoints/last.ckpt", "model.safetensors",
    "environment.json", "log.txt", "plots/curves.png", "plots/confusion_matrix.png", "plots/train_batch.png",
    "plots/predictions.png",
}  # fmt: skip


@pytest.fixture
def run(shared_runs):
    """A finished run of the main job."""
    return shared_runs.of("classify")


def test_the_run_folder_holds_what_the_design_lists(run):
    assert {str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()} >= FILES
    assert sorted(p.name for p in run.parent.iterdir()) == ["run"]


def test_metrics_are_one_flat_object_of_numbers(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert all(isinstance(value, int | float) for value in metrics.values())
    assert metrics["test/accuracy"] > 0.8
    assert metrics["test/top5_accuracy"] >= metrics["test/accuracy"]
    assert {"test/f1_macro", "test/calibration_error", "test/loss", "val/accuracy"} <= set(metrics)
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert len(rows) == 6
    assert float(rows[-1]["train/loss"]) < float(rows[0]["train/loss"])


def test_the_best_epoch_is_the_one_with_the_best_validation_accuracy(run):
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    accuracies = [float(row["val/accuracy"]) for row in rows]
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["best_epoch"] == accuracies.index(max(accuracies)) + 1
    assert metrics["val/accuracy"] == pytest.approx(max(accuracies))


def test_the_checkpoint_loads_as_plain_data_with_its_hyper_parameters(run):
    for name in ("best", "last"):
        checkpoint = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert checkpoint["hyper_parameters"]["recipe"]["epochs"] == 6


def test_model_safetensors_is_the_best_checkpoint(run):
    from safetensors.torch import load_file

    best = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    weights = load_file(run / "model.safetensors")
    assert weights
    assert all(torch.equal(best[f"model.{key}"], value) for key, value in weights.items())


def test_the_confusion_matrix_adds_up_to_the_test_split_and_gives_the_accuracy(run):
    rows = list(csv.reader((run / "confusion_matrix.csv").open()))[1:]
    counts = torch.tensor([[int(cell or 0) for cell in row[1:]] for row in rows])
    metrics = json.loads((run / "metrics.json").read_text())
    assert counts.sum() == 270
    assert counts.diag().sum() / counts.sum() == pytest.approx(metrics["test/accuracy"], abs=1e-6)


def test_evaluate_gives_the_numbers_of_the_run_again(cli, run):
    metrics = json.loads((run / "metrics.json").read_text())
    code, out, _ = cli("evaluate", f"run={run}", "format=json")
    again = json.loads(out)
    assert (code, again["split"]) == (0, "test")
    for name, value in again["metrics"].items():
        assert value == pytest.approx(metrics[name], abs=1e-6), name
    _, out, _ = cli("evaluate", f"run={run}", "split=val", "format=json")
    assert json.loads(out)["metrics"]["val/accuracy"] == pytest.approx(metrics["val/accuracy"], abs=1e-6)


def test_evaluate_prints_a_table(cli, run):
    code, out, _ = cli("evaluate", f"run={run}")
    assert code == 0
    assert "test/accuracy" in out


def test_predict_agrees_with_evaluation_on_every_sample(cli, run, tmp_path):
    """The test images as PNG files, predicted one by one, against the model on the test loader's batches."""
    from PIL import Image

    from visionkit.data import VisionDataModule
    from visionkit.runs.checkpoint import load_run_model
    from visionkit.runs.config import RunConfig
    from visionkit.runs.folder import RunFolder

    folder = RunFolder(run)
    config = RunConfig.from_plain(folder.read_config())
    data = VisionDataModule(config.source, batch_size=64, seed=0)
    data.prepare_data()
    data.setup("test")
    samples = data.dataset("test")
    (tmp_path / "images").mkdir()
    for i in range(len(samples)):
        Image.fromarray(samples.image(i)[0].numpy()).save(tmp_path / "images" / f"{i:04d}.png")
    model = load_run_model(folder)
    with torch.no_grad():
        expected = torch.cat([model.predict(model(b["images"]))["probabilities"] for b in data.test_dataloader()])
    code, out, _ = cli(
        "predict", f"run={run}", f"source={tmp_path / 'images'}", "format=json", f"run_dir={tmp_path / 'out'}"
    )
    rows = json.loads(out)["predictions"]
    found = torch.tensor([list(row["probabilities"].values()) for row in rows])
    assert code == 0
    assert len(rows) == len(samples) == 270
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    accuracy = (found.argmax(1) == torch.as_tensor(samples.labels)).double().mean().item()
    metrics = json.loads((run / "metrics.json").read_text())
    assert accuracy == pytest.approx(metrics["test/accuracy"], abs=1e-6)
    table = list(csv.DictReader((tmp_path / "out" / "predictions.csv").open()))
    assert [row["class"] for row in table] == [row["class"] for row in rows]
    assert json.loads((tmp_path / "out" / "predictions.json").read_text()) == rows


def test_predict_leaves_unreadable_files_out_counts_and_names_them(cli, run, tmp_path):
    from PIL import Image

    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (50, 40), "white").save(photos / "good.jpg")
    (photos / "broken.png").write_bytes(b"no image")
    code, out, _ = cli("predict", f"run={run}", f"source={photos}", f"run_dir={tmp_path / 'out'}")
    assert code == 0
    assert "1 of 2 files could not be read" in out
    assert "broken.png" in out
    code, _, err = cli("predict", f"run={run}", f"source={photos}", "strict=true", f"run_dir={tmp_path / 'out2'}")
    assert code == 2
    assert "broken.png' cannot be read" in err
    assert not (tmp_path / "out2").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [("nowhere", "there is no file or folder 'nowhere'"), ("*.tiff", "no images match '*.tiff'"), ("", "source")],
)
def test_predict_without_images_says_so(cli, run, in_empty_folder, source, message):
    code, _, err = cli("predict", f"run={run}", f"source={source}")
    assert code == 2
    assert message in err


def test_a_run_folder_is_never_written_over(cli, run):
    before = (run / "metrics.json").read_bytes()
    code, _, err = cli(*FAST, f"run_dir={run}")
    assert code == 2
    assert "already holds a run" in err
    assert (run / "metrics.json").read_bytes() == before


def test_a_run_is_repeated_from_its_file_with_the_same_numbers(cli, run, tmp_path):
    code, out, _ = cli("train", f"run={run}", f"run_dir={tmp_path / 'again'}", "format=json")
    assert code == 0
    again, first = json.loads(out)["metrics"], json.loads((run / "metrics.json").read_text())
    assert again["test/accuracy"] == first["test/accuracy"]
    assert again["test/loss"] == pytest.approx(first["test/loss"], rel=1e-4)


def test_a_repeated_run_takes_changes(cli, run, tmp_path):
    code, out, _ = cli(
        "train", f"run={run}", "recipe.epochs=1", "head=linear", f"run_dir={tmp_path / 'b'}", "format=json"
    )
    assert code == 0
    assert json.loads(out)["metrics"]["epochs"] == 1
    assert "type: linear" in (tmp_path / "b" / "config.yaml").read_text()


def test_the_default_folder_is_named_by_task_backbone_and_data_set(cli, in_empty_folder):
    assert cli(*FAST, "debug=fast")[0] == 0
    (folder,) = (in_empty_folder / "runs" / "classify-lenet-digits").iterdir()
    assert (folder / "config.yaml").is_file()
    code, out, _ = cli("evaluate", "run=latest", "format=json")
    assert code == 0
    assert json.loads(out)["run"].endswith(folder.name)


def test_json_is_all_there_is_on_standard_output(cli, in_empty_folder):
    code, out, _ = cli(*FAST, "debug=fast", "format=json")
    document = json.loads(out)
    assert code == 0
    assert {"run", "metrics"} <= set(document)


def test_a_checkpoint_of_another_net_does_not_fit_and_says_which_keys(cli, run, in_empty_folder):
    code, _, err = cli("backbone=resnet20", "debug=fast", f"weights={run / 'model.safetensors'}")
    assert code == 2
    assert "does not fit this network" in err
    assert not (in_empty_folder / "runs").exists()


def test_ctrl_c_saves_a_checkpoint_from_which_the_run_goes_on(cli, tmp_path):
    words = ("recipe.epochs=5000", "debug.limit_batches=2", "hardware=cpu", f"run_dir={tmp_path / 'run'}")
    command = [sys.executable, "-m", "visionkit", *words]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + 120
        history = tmp_path / "run" / "metrics.csv"
        while not history.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
    done = len(history.read_text().splitlines()) - 1
    code, out, err = cli("train", f"run={tmp_path / 'run'}", "resume=true", f"recipe.epochs={done + 2}")
    assert code == 0, out + err
    assert len(history.read_text().splitlines()) - 1 == done + 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["evaluate", "dataset.split_seed=1"],
            "evaluate takes a run as it is, and 'dataset.split_seed' would change it",
        ),
        (
            ["evaluate", "backbone.layer_defaults.activation=relu"],
            "'backbone.layer_defaults.activation' would change it",
        ),
        (["evaluate", "dataset=mnist"], "'dataset' would change it"),
        (["predict", "source=.", "seed=3"], "predict takes a run as it is, and 'seed' would change it"),
        (
            ["train", "resume=true", "recipe.lr=1"],
            "resume=true continues a run as it is, and 'recipe.lr' would change it",
        ),
        (["train", "resume=true", "backbone=resnet18"], "'backbone' would change it"),
        (["train", "experiment=mnist_lenet"], "repeats a run from its file"),
    ],
)
def test_a_run_is_taken_as_it_is(cli, run, words, message):
    code, _, err = cli(*words, f"run={run}")
    assert code == 2
    assert message in err


def test_precision_and_batch_size_may_change_when_a_run_is_measured_again(cli, run):
    metrics = json.loads((run / "metrics.json").read_text())
    _, out, _ = cli("evaluate", f"run={run}", "recipe.batch_size=7", "hardware.precision=bf16", "format=json")
    assert json.loads(out)["metrics"]["test/accuracy"] == pytest.approx(metrics["test/accuracy"], abs=0.01)


def test_predict_computes_in_the_precision_of_the_run(cli, run, tmp_path):
    from PIL import Image

    Image.new("L", (32, 32), 90).save(tmp_path / "a.png")
    scores = []
    for precision in ("32", "bf16"):
        words = (f"run={run}", f"source={tmp_path / 'a.png'}", f"run_dir={tmp_path / precision}", "format=json")
        _, out, _ = cli("predict", *words, f"hardware.precision='{precision}'")
        scores.append(json.loads(out)["predictions"][0]["score"])
    assert scores[0] != scores[1]
    assert scores[0] == pytest.approx(scores[1], abs=0.02)


def test_a_run_that_was_killed_is_measured_by_its_best_checkpoint(cli, run, tmp_path):
    shutil.copytree(run, tmp_path / "killed")
    (tmp_path / "killed" / "model.safetensors").unlink()
    metrics = json.loads((run / "metrics.json").read_text())
    _, out, _ = cli("evaluate", f"run={tmp_path / 'killed'}", "format=json")
    assert json.loads(out)["metrics"]["test/accuracy"] == pytest.approx(metrics["test/accuracy"], abs=1e-6)
    (tmp_path / "killed" / "checkpoints" / "best.ckpt").unlink()
    code, _, err = cli("evaluate", f"run={tmp_path / 'killed'}")
    assert code == 2
    assert "has neither model.safetensors nor checkpoints/best.ckpt" in err


TESTING = """
import time
from pathlib import Path
from visionkit.training import evaluation

def wait(*arguments):
    Path("testing").touch()
    time.sleep(60)

evaluation._test = wait
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_final_test_is_no_success(tmp_path, number):
    (tmp_path / "waiting.py").write_text(TESTING)
    process = commands.start(tmp_path, "plugins=[waiting]", "debug=fast", "hardware=cpu", "run_dir=run")
    deadline = time.monotonic() + 90
    while not (tmp_path / "testing").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, out + err
    assert err == f"visionkit: {'terminated' if number == signal.SIGTERM else 'interrupted'}\n"
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert not list((tmp_path / "run").rglob("*.tmp"))
    assert not (tmp_path / "run" / ".lock").exists()


@pytest.mark.slow
def test_a_run_folder_takes_no_second_run_while_it_is_trained(cli, tmp_path):
    words = ("recipe.epochs=5000", "debug.limit_batches=2", "hardware=cpu", "run_dir=run")
    process = commands.start(tmp_path, *words)
    try:
        deadline = time.monotonic() + 90
        while not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        code, _, err = cli("train", f"run={tmp_path / 'run'}", "resume=true", "recipe.epochs=6000")
        assert (code, f"run: process {process.pid} on " in err, "is training in" in err) == (2, True, True)
        assert cli("debug=fast", "hardware=cpu", f"run_dir={tmp_path / 'run'}")[0] == 2
        (tmp_path / "run").rename(tmp_path / "moved")
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 2, out + err
    assert "run' was moved or removed while the run was trained" in err.replace("\n", " ")


def test_a_file_missing_from_a_run_folder_that_was_moved_is_told_as_the_move(cli, monkeypatch, tmp_path):
    from visionkit.training import fit

    def move(run, task, callbacks):
        (tmp_path / "run").rename(tmp_path / "moved")
        (tmp_path / "run" / "metrics.csv").read_text()

    monkeypatch.setattr(fit, "_test", move)
    code, _, err = cli("debug=fast", "hardware=cpu", f"run_dir={tmp_path / 'run'}")
    assert code == 2
    assert f"'{tmp_path / 'run'}' was moved or removed while the run was trained" in err


def test_a_damaged_checkpoint_cannot_be_resumed_and_says_so(cli, run, tmp_path):
    shutil.copytree(run, tmp_path / "damaged")
    last = tmp_path / "damaged" / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    last.with_name("best.ckpt").write_bytes(b"none")
    code, _, err = cli("train", f"run={tmp_path / 'damaged'}", "resume=true", "recipe.epochs=9")
    assert code == 2
    assert "last.ckpt' is damaged and cannot be read, and there is no whole best.ckpt" in err


def test_a_run_with_a_damaged_last_checkpoint_goes_on_from_the_best_one_and_says_so(cli, run, tmp_path):
    shutil.copytree(run, tmp_path / "damaged")
    last = tmp_path / "damaged" / "checkpoints" / "last.ckpt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 255
    last.write_bytes(content)
    code, out, err = cli("train", f"run={tmp_path / 'damaged'}", "resume=true")
    assert code == 0, err
    assert "last.ckpt' is missing or damaged: the run goes on from best.ckpt" in " ".join(out.split())
    rows = list(csv.DictReader((tmp_path / "damaged" / "metrics.csv").open()))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert torch.load(last, weights_only=True)["epoch"] == 5


@pytest.mark.slow
def test_training_goes_on_when_nobody_reads_its_lines_any_more(tmp_path):
    words = ("debug=fast", "recipe.epochs=2", "hardware=cpu", f"run_dir={tmp_path / 'run'}")
    command = [sys.executable, "-m", "visionkit", *words]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=120) == 0
    assert "test/accuracy" in (tmp_path / "run" / "log.txt").read_text()


def test_a_lengthened_schedule_and_a_batch_larger_than_the_data_are_said_and_logged(cli, run, tmp_path):
    longer = shutil.copytree(run, tmp_path / "longer")
    code, out, _ = cli("train", f"run={longer}", "resume=true", "recipe.epochs=7")
    said = " ".join(out.split())
    assert (code, "the schedule cosine was made for 6 epochs, and is now one of 7." in said) == (0, True)
    assert "rate     the learning rate was" in (longer / "log.txt").read_text()
    code, _, _ = cli("recipe.batch_size=5000", "recipe.epochs=1", "hardware=cpu", f"run_dir={tmp_path / 'one'}")
    assert code == 0
    assert "an epoch is one batch of 1257, one step" in " ".join((tmp_path / "one" / "log.txt").read_text().split())
    assert next(csv.DictReader((tmp_path / "one" / "metrics.csv").open()))["step"] == "1"


def test_a_debug_run_says_what_it_cuts_and_that_its_figures_say_nothing(cli, in_empty_folder):
    _, out, _ = cli("debug=fast", "hardware=cpu", "recipe.epochs=3")
    said = " ".join(out.split())
    assert "debug 2 batches of 4 from each split, 1 epoch whatever recipe.epochs says: the figures say" in said
    assert "epoch 1/1" in said


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classify", "detect", "segment", "instance"])
def test_a_debug_run_of_each_task_computes_two_batches_of_four_in_each_split(cli, in_empty_folder, monkeypatch, task):
    """So it takes seconds, whatever the data set and the recipe."""
    from visionkit.tasks.base import VisionTask

    seen = []
    step, evaluate = VisionTask.training_step, VisionTask._evaluate
    monkeypatch.setattr(
        VisionTask, "training_step",
        lambda self, batch, index: (seen.append(("train", len(batch["images"]))), step(self, batch, index))[1],
    )  # fmt: skip
    monkeypatch.setattr(
        VisionTask, "_evaluate",
        lambda self, batch, stage: (seen.append((stage, len(batch["images"]))), evaluate(self, batch, stage))[1],
    )  # fmt: skip
    assert cli(f"task={task}", "debug=fast", "hardware=cpu", "run_dir=run")[0] == 0
    assert seen == [(stage, 4) for stage in ("train", "val", "test") for _ in range(2)]


def test_early_stopping_is_switched_on_by_its_patience(cli, in_empty_folder):
    words = ("recipe.early_stopping.patience=1", "recipe.epochs=30", "recipe.lr=1e-9", "hardware=cpu", "format=json")
    code, out, err = cli(*words)
    assert code == 0
    assert json.loads(out)["metrics"]["epochs"] < 30
    assert "stopped early" in err

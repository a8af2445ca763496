"""Training and evaluation in several processes, through the real command line, on the CPU."""

import csv
import json
import shutil
import signal
import time

import pytest
import torch
import yaml

from tests.helpers import commands

CPU = ("hardware=cpu", "recipe.epochs=1")
PLUGIN = """
import os, time, signal
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError

_call = InputTransform.pad

def call(self, images):
    how = os.environ.get("HOW")
    if os.environ.get("RANK") == os.environ.get("WHO"):
        if how == "mistake":
            raise UserError("this is for you to mend")
        if how == "mentions gloo":
            raise RuntimeError("my gloo is [/gloo/transport/tcp] Connection closed")
        if how == "leaves":
            os._exit(7)
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
    return _call(self, images)

InputTransform.pad = call
"""


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    """A run in two processes, and what it printed."""
    folder = tmp_path_factory.mktemp("two")
    code, out, err = commands.run(folder, *commands.overrides(photos), "hardware.devices=2", "run_dir=run")
    assert code == 0, out + err
    return folder / "run", out


@pytest.mark.slow
def test_a_run_in_two_processes_is_one_folder_one_log_and_says_how_the_batch_is_divided(trained):
    run, out = trained
    log = (run / "log.txt").read_text()
    assert out.count("model    lenet") == log.count("model    lenet") == 1
    assert "batch    6 = 2 processes x 3" in out
    assert {"config.yaml", "metrics.json", "metrics.csv", "model.safetensors"} <= {p.name for p in run.iterdir()}
    assert len(list(csv.DictReader((run / "metrics.csv").open()))) == 1
    assert yaml.safe_load((run / "config.yaml").read_text())["hardware"]["devices"] == 2
    assert commands.still_running(run.parent) == []


@pytest.mark.slow
def test_every_number_is_the_same_in_one_two_and_three_processes(trained, cli):
    """Two processes tested the run; the two validation images leave a third process without any.

    That three processes share the images of a test unevenly is compared for the other tasks.
    """
    run, _ = trained
    in_two = json.loads((run / "metrics.json").read_text())
    words = ("evaluate", f"run={run}", "hardware=cpu", "format=json")
    for split in ("test", "val"):
        code, out, _ = cli(*words, f"split={split}")
        assert code == 0
        one = json.loads(out)["metrics"]
        stored = {name: in_two[name] for name in one if name in in_two}
        assert set(one) - set(stored) <= {"val/accuracy_low", "val/accuracy_high"}  # the test has an interval alone
        assert stored == pytest.approx({name: one[name] for name in stored}, rel=0, abs=1e-7)
    code, out, err = cli(*words, "split=val", "hardware.devices=3")
    assert code == 0, err
    assert json.loads(out)["metrics"] == pytest.approx(one, rel=0, abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("norm", "augment"),
    [("none", "null"), ("batch", "{affine: {degrees: 20}, horizontal_flip: {}, color_jitter: {brightness: 0.5}}")],
    ids=["plain", "norm and augmentation"],
)
def test_weights_after_twenty_steps_are_those_of_one_process(tmp_path, norm, augment, cli):
    """Float32 rounds differently in batches of another size; a small rate keeps that small over 20 steps."""
    (tmp_path / "net.yaml").write_text(
        "name: net\nin_channels: 1\nimage_size: 32\n"
        f"layer_defaults: {{activation: relu, norm: {norm}, init: kaiming_normal}}\n"
        "stages:\n"
        "  a: {conv: {type: conv, out_channels: 8, kernel_size: 3, stride: 2, padding: 1}}\n"
        "  b: {conv: {type: conv, out_channels: 16, kernel_size: 3, stride: 2, padding: 1}}\n"
        "classifier: {pool: avg, hidden: []}\n"
    )
    words = (
        f"backbone={tmp_path / 'net.yaml'}", f"dataset.augment={augment}", "recipe.batch_size=62",
        "debug.limit_batches=20",
        "hardware.channels_last=false", *CPU,
    )  # fmt: skip
    assert cli(*words, f"run_dir={tmp_path / 'one'}")[0] == 0
    code, out, err = cli(*words, "hardware.devices=2", f"run_dir={tmp_path / 'two'}")
    assert code == 0, out + err
    one, two = commands.checkpoint_weights(tmp_path / "one"), commands.checkpoint_weights(tmp_path / "two")
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-5
    row = [next(csv.DictReader((tmp_path / which / "metrics.csv").open())) for which in ("one", "two")]
    assert row[0]["step"] == row[1]["step"] == "20"
    assert float(row[0]["val/loss"]) == pytest.approx(float(row[1]["val/loss"]), abs=1e-5)


@pytest.mark.slow
def test_three_processes_train_and_validate_as_one_where_one_has_no_validation_image(photos, tmp_path, cli):
    """Of 24 training images 21 make a batch; validation has two images."""
    words = (
        *commands.changed(commands.overrides(photos), "recipe.batch_size=21", "recipe.epochs=2"), "recipe.lr=0.01",
        "backbone.layer_defaults.norm=batch", "hardware.channels_last=false",
    )  # fmt: skip
    assert cli(*words, f"run_dir={tmp_path / 'one'}")[0] == 0
    code, out, err = commands.run(tmp_path, *words, "hardware.devices=3", "run_dir=three")
    assert code == 0, out + err
    one, three = (list(csv.DictReader((tmp_path / name / "metrics.csv").open())) for name in ("one", "three"))
    assert [row["step"] for row in three] == [row["step"] for row in one] == ["1", "2"]
    for column in ("train/loss", "train/accuracy", "val/loss", "val/accuracy"):
        assert [float(row[column]) for row in three] == pytest.approx([float(row[column]) for row in one], abs=1e-5)
    one, three = commands.checkpoint_weights(tmp_path / "one"), commands.checkpoint_weights(tmp_path / "three")
    assert max((one[name] - three[name]).abs().max().item() for name in one) < 1e-5
    assert commands.still_running(tmp_path) == []


@pytest.mark.slow
def test_files_that_one_process_cannot_read_are_left_out_counted_and_named(photos, tmp_path, cli):
    """The second process has one of the two validation images, and cannot read it."""
    shutil.copytree(photos, tmp_path / "photos")
    broken = [tmp_path / "photos" / name for name in ("val/dog/0.png", "train/cat/3.png", "train/dog/5.png")]
    for file in broken:
        file.write_bytes(f"broken {file}".encode())
    words = (*commands.overrides(tmp_path / "photos"), "dataset.cache_mb=0", "hardware.devices=2")
    code, out, err = cli(*words, f"run_dir={tmp_path / 'run'}")
    assert code == 0, out + err
    assert "2 unreadable image(s) of train replaced by the next readable one" in out
    assert "1 unreadable image(s) of val dropped" in out
    assert all(str(file) in out for file in broken)
    assert next(csv.DictReader((tmp_path / "run" / "metrics.csv").open()))["step"] == "4"


@pytest.mark.slow
def test_a_sharded_model_learns_as_a_whole_one_and_goes_on_in_one_process(trained, photos, cli):
    """The two validation images leave a third process without any, whose part of the model the others need."""
    whole, _ = trained
    run = whole.parent / "sharded"
    words = ("hardware.devices=3", "hardware.strategy=fsdp", f"run_dir={run}")
    code, out, err = cli(*commands.overrides(photos), *words)
    assert code == 0, out + err
    one, other = commands.checkpoint_weights(whole), commands.checkpoint_weights(run)
    assert max((one[name] - other[name]).abs().max().item() for name in one) < 1e-5
    code, out, err = cli("train", f"run={run}", "resume=true", "recipe.epochs=2", "hardware.devices=1")
    assert code == 0, out + err
    assert [row["step"] for row in csv.DictReader((run / "metrics.csv").open())] == ["4", "8"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("mentions gloo", 2, "a plugin of yours fails: RuntimeError: my gloo is"),
        ("mistake", 2, "this is for you to mend\n"),
        ("leaves", 7, "process 1 of the run ended with exit code 7"),
        ("killed", 137, "process 1 of the run was ended by SIGKILL"),
    ],
)
def test_a_worker_that_dies_ends_the_run_with_its_own_words_and_code(photos, tmp_path, how, code, words):
    (tmp_path / "dying.py").write_text(PLUGIN)
    found, out, err = commands.run(
        tmp_path, *commands.overrides(photos), "hardware.devices=2", "plugins=[dying]", "run_dir=run", HOW=how, WHO="1"
    )
    assert found == code, out + err
    assert words in err
    assert err.count("Traceback") == (how == "mentions gloo")
    assert commands.still_running(tmp_path) == []


@pytest.mark.slow
def test_a_mistake_found_by_the_first_process_leaves_no_folder(photos, tmp_path):
    (tmp_path / "dying.py").write_text(PLUGIN)
    code, _, err = commands.run(
        tmp_path, *commands.overrides(photos), "hardware.devices=2", "plugins=[dying]", "run_dir=run", HOW="mistake",
        WHO="0",
    )  # fmt: skip
    assert code == 2
    assert err.startswith("visionkit: ")
    assert err.endswith("this is for you to mend\n")
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 143)])
def test_an_interrupted_run_saves_and_goes_on_in_one_process(photos, tmp_path, number, code, cli):
    words = [word for word in commands.overrides(photos) if word != "recipe.epochs=1"]
    process = commands.start(tmp_path, *words, "recipe.epochs=5000", "hardware.devices=2", "run_dir=run")
    history = tmp_path / "run" / "metrics.csv"
    deadline = time.monotonic() + 90
    while not history.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    assert "Interrupted" in out
    assert commands.still_running(tmp_path) == []
    behind = len(list(csv.DictReader(history.open())))
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] >= 4 * behind
    code, out, err = cli(
        "train", f"run={tmp_path / 'run'}", "resume=true", f"recipe.epochs={behind + 2}", "hardware.devices=1"
    )
    assert code == 0, out + err
    rows = list(csv.DictReader(history.open()))
    assert [int(row["epoch"]) for row in rows] == list(range(1, behind + 3))
    assert int(rows[-1]["step"]) == 4 * (behind + 2)


def test_variables_of_a_job_without_srun_leave_a_run_alone(cli, in_empty_folder, monkeypatch):
    for name, value in {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    code, out, _ = cli("debug=fast", "hardware=cpu", "run_dir=run")
    assert code == 0
    assert "processes" not in out

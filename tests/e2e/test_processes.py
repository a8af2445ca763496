"""Training and evaluation in several processes, through the real command line, on the CPU."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

REPOSITORY = Path(__file__).parents[2]
CPU = ("hardware=cpu", "recipe.epochs=1")
PLUGIN = """
import os, time, signal
from visionkit.data.transforms import Preprocess
from visionkit.errors import UserError

_call = Preprocess.__call__

def call(self, images):
    how = os.environ.get("HOW")
    if os.environ.get("RANK") == os.environ.get("WHO"):
        if how == "raises":
            raise ZeroDivisionError("worker one fell")
        if how == "mistake":
            raise UserError("this is for you to mend")
        if how == "leaves":
            os._exit(7)
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
    return _call(self, images)

Preprocess.__call__ = call
"""
# 7 and 2 are primes; in three processes the last one has no validation sample.
SIZES = {"train": 12, "val": 1, "test": 3}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes: 24 images for training, 2 for validation, 7 for the test."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    for split, number in SIZES.items():
        for name, shade in (("cat", 60), ("dog", 180)):
            (folder / split / name).mkdir(parents=True)
            for i in range(number + (split == "test" and name == "dog")):
                image = (
                    Image.linear_gradient("L").rotate(17 * i).resize((32, 32)).point(lambda v, s=shade: (v + s) // 2)
                )
                image.save(folder / split / name / f"{i}.png")
    return folder


def _words(photos):
    return (
        "dataset=folder", f"dataset.root={photos}", "dataset.image_size=32", "dataset.augment=null", "backbone=lenet",
        "recipe.batch_size=6", *CPU,
    )  # fmt: skip


def _start(folder, *words, **environment):
    paths = os.pathsep.join([str(REPOSITORY), str(folder)])
    return subprocess.Popen(
        [sys.executable, *([] if words[0] == "-m" else ["-m", "visionkit"]), *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "MARK": str(folder), **environment},
    )  # fmt: skip


def _run(folder, *words, timeout=120, **environment):
    process = _start(folder, *words, **environment)
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def _left_behind(folder):
    """Processes that still live and were started, however indirectly, by a test of this folder."""
    mark = f"MARK={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            alive = (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            if alive and mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(process.name)
        except OSError:
            continue
    return found


def _weights(run):
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return {name: value.double() for name, value in state.items()}


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    """A run in two processes, and what it printed."""
    folder = tmp_path_factory.mktemp("two")
    code, out, err = _run(folder, *_words(photos), "hardware.devices=2", "run_dir=run")
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
    assert _left_behind(run.parent) == []


@pytest.mark.slow
@pytest.mark.parametrize("split", ["test", "val"])
def test_every_number_is_the_same_in_one_two_and_three_processes(trained, split, cli):
    """The two validation images leave a third process without any."""
    run, _ = trained
    words = ("evaluate", f"run={run}", "hardware=cpu", "format=json", f"split={split}")
    code, out, _ = cli(*words)
    assert code == 0
    one = json.loads(out)["metrics"]
    for devices in (2, 3) if split == "test" else (3,):
        code, out, err = _run(run.parent, *words, f"hardware.devices={devices}")
        assert code == 0, err
        assert json.loads(out)["metrics"] == pytest.approx(one, rel=0, abs=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_weights_after_twenty_steps_are_those_of_one_process(tmp_path, norm, cli):
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
        f"backbone={tmp_path / 'net.yaml'}", "dataset.augment=null", "recipe.batch_size=62", "debug.limit_batches=20",
        "hardware.channels_last=false", *CPU,
    )  # fmt: skip
    assert cli(*words, f"run_dir={tmp_path / 'one'}")[0] == 0
    code, out, err = _run(tmp_path, *words, "hardware.devices=2", "run_dir=two")
    assert code == 0, out + err
    one, two = _weights(tmp_path / "one"), _weights(tmp_path / "two")
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-5
    row = [next(csv.DictReader((tmp_path / which / "metrics.csv").open())) for which in ("one", "two")]
    assert row[0]["step"] == row[1]["step"] == "20"
    assert float(row[0]["val/loss"]) == pytest.approx(float(row[1]["val/loss"]), abs=1e-5)


@pytest.mark.slow
def test_a_sharded_model_learns_as_a_whole_one_and_goes_on_in_one_process(trained, photos, cli):
    whole, _ = trained
    run = whole.parent / "sharded"
    code, out, err = _run(run.parent, *_words(photos), "hardware.devices=2", "hardware.strategy=fsdp", f"run_dir={run}")
    assert code == 0, out + err
    one, other = _weights(whole), _weights(run)
    assert max((one[name] - other[name]).abs().max().item() for name in one) < 1e-5
    code, out, err = cli("train", f"run={run}", "resume=true", "recipe.epochs=2", "hardware.devices=1")
    assert code == 0, out + err
    assert [row["step"] for row in csv.DictReader((run / "metrics.csv").open())] == ["4", "8"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("raises", 1, "ZeroDivisionError: worker one fell"),
        ("mistake", 2, "this is for you to mend\n"),
        ("leaves", 7, "process 1 of the run ended with exit code 7"),
        ("killed", 137, "process 1 of the run was ended by SIGKILL"),
    ],
)
def test_a_worker_that_dies_ends_the_run_with_its_own_words_and_code(photos, tmp_path, how, code, words):
    (tmp_path / "dying.py").write_text(PLUGIN)
    found, out, err = _run(
        tmp_path, *_words(photos), "hardware.devices=2", "plugins=[dying]", "run_dir=run", HOW=how, WHO="1"
    )
    assert found == code, out + err
    assert words in err
    assert err.count("Traceback") == (how == "raises")
    assert _left_behind(tmp_path) == []


@pytest.mark.slow
def test_a_mistake_found_by_the_first_process_leaves_no_folder(photos, tmp_path):
    (tmp_path / "dying.py").write_text(PLUGIN)
    code, _, err = _run(
        tmp_path, *_words(photos), "hardware.devices=2", "plugins=[dying]", "run_dir=run", HOW="mistake", WHO="0"
    )
    assert code == 2
    assert err.startswith("visionkit: ")
    assert err.endswith("this is for you to mend\n")
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_and_goes_on_in_one_process(photos, tmp_path, number, cli):
    words = [word for word in _words(photos) if word != "recipe.epochs=1"]
    process = _start(tmp_path, *words, "recipe.epochs=5000", "hardware.devices=2", "run_dir=run")
    history = tmp_path / "run" / "metrics.csv"
    deadline = time.monotonic() + 90
    while not history.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "Interrupted" in out
    assert _left_behind(tmp_path) == []
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


@pytest.mark.slow
def test_two_machines_meet_on_loopback_and_make_one_run(photos, tmp_path):
    meeting = f"hardware.rendezvous=127.0.0.1:{_free_port()}"
    words = (*_words(photos), "hardware.num_nodes=2", meeting, "hardware.timeout=90", "run_dir=run")
    nodes = [_start(tmp_path, *words, f"hardware.node_rank={rank}") for rank in (0, 1)]
    said = [node.communicate(timeout=120) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], said
    assert "batch    6 = 2 machines x 1 processes x 3" in said[0][0]
    assert said[1][0] == ""
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["epochs"] == 1
    assert _left_behind(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_meeting_to_which_nobody_comes_times_out_with_its_address(photos, tmp_path, rank):
    place = f"127.0.0.1:{_free_port()}"
    words = ("hardware.num_nodes=2", f"hardware.node_rank={rank}", f"hardware.rendezvous={place}", "hardware.timeout=3")
    code, out, err = _run(tmp_path, *_words(photos), *words, "run_dir=run")
    assert code == 2, out + err
    assert place in err
    assert "within 3 s" in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_port_in_use_is_named_with_another_one(photos, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = ("hardware.num_nodes=2", f"hardware.rendezvous=127.0.0.1:{port}", "hardware.timeout=5")
        code, _, err = _run(tmp_path, *_words(photos), *words)
    assert code == 2
    assert f"port {port} of '127.0.0.1' is in use already" in err
    assert f"Try: hardware.rendezvous=127.0.0.1:{port + 1}" in err


@pytest.mark.slow
def test_torchrun_and_srun_make_one_run_of_their_processes(photos, tmp_path):
    code, out, err = _run(
        tmp_path, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "visionkit",
        *_words(photos), "run_dir=torchrun",
    )  # fmt: skip
    assert code == 0, out + err
    assert out.count("batch    6 = 2 processes x 3") == 1
    port = str(_free_port())
    slurm = {"SLURM_STEP_ID": "0", "SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_NNODES": "1"}
    words = (*_words(photos), f"hardware.rendezvous=127.0.0.1:{port}", "run_dir=srun")
    tasks = [_start(tmp_path, *words, SLURM_PROCID=str(i), SLURM_LOCALID=str(i), **slurm) for i in range(2)]
    said = [task.communicate(timeout=120) for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], said
    assert "batch    6 = 2 processes x 3" in said[0][0]
    assert said[1][0] == ""
    one, other = (_weights(tmp_path / name) for name in ("torchrun", "srun"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_variables_of_a_job_without_srun_leave_a_run_alone(cli, in_empty_folder, monkeypatch):
    for name, value in {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    code, out, _ = cli("debug=fast", "hardware=cpu", "run_dir=run")
    assert code == 0
    assert "processes" not in out

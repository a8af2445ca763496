"""Real signals to commands that look at a run, to the workers of a training, and a real /dev/shm without room."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.helpers import commands

pytestmark = pytest.mark.slow

WORDS = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}


def _files(folder):
    return {str(file.relative_to(folder)): file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("words", "delays"),
    [
        (("evaluate",), (0.6, 2.9)),
        (("predict", "source=photos", "run_dir=out"), (1.3, 3.7)),
        (("inspect", "backbone=resnet18"), (0.4, 0.9)),
    ],
)
def test_a_signal_ends_a_command_that_looks_at_a_run_in_one_line(tmp_path, shared_runs, photos, words, delays, number):
    """At some moment of importing, reading or writing; a command that is done before has all its results."""
    run = shutil.copytree(shared_runs.of("classify"), tmp_path / "run")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "photos").symlink_to(photos)
    before = _files(run)
    which = words if words[0] == "inspect" else (*words, f"run={run}")
    process = commands.start(tmp_path, *which, TMPDIR=str(tmp_path / "tmp"))
    time.sleep(delays[number == signal.SIGTERM])
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    code, word = WORDS[number]
    assert (process.returncode, err) in ((code, f"visionkit: {word}\n"), (0, "")), out + err
    assert _files(run) == before
    assert commands.still_running(tmp_path) == []
    assert os.listdir(tmp_path / "tmp") == []
    left = [str(file) for file in (tmp_path / "out").rglob(".*.tmp")]
    assert left == []


def _training(folder, photos, *words):
    run = folder / "run"
    words = commands.changed(
        commands.overrides(photos), "recipe.epochs=2000", "dataset.num_workers=1", "dataset.cache_mb=0", *words
    )
    return commands.start(folder, *words, f"run_dir={run}"), run


def _workers(process):
    """The processes that a training has forked to read its images."""
    found = []
    for task in Path(f"/proc/{process.pid}/task").glob("*/children"):
        found += [int(pid) for pid in task.read_text().split()]
    return [pid for pid in found if _command(pid) == _command(process.pid)]


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_worker_that_is_killed_or_stopped_ends_the_command_in_words_within_a_minute(tmp_path, photos):
    started = {}
    for number in (signal.SIGKILL, signal.SIGSTOP):
        (tmp_path / number.name).mkdir()
        started[number] = _training(tmp_path / number.name, photos)
    for number, (process, run) in started.items():
        deadline = time.monotonic() + 90
        while not ((run / "metrics.csv").exists() and _workers(process)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(_workers(process)[0], number)
    begun = time.monotonic()
    for number, (process, _) in started.items():
        out, err = process.communicate(timeout=90)
        assert time.monotonic() - begun < 60
        assert process.returncode == 2, out + err
        assert "worker" in err
        assert "Traceback" not in err
        assert commands.still_running(tmp_path / number.name) == []


def test_a_real_shared_memory_without_room_is_said_and_the_run_is_done(tmp_path, photos):
    """In a mount namespace of its own, /dev/shm has 1 MiB, less than two batches of these images."""
    mount = "mount -t tmpfs -o size=1m tmpfs /dev/shm"
    possible = shutil.which("unshare") and subprocess.run(
        ["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False
    )
    if not possible or possible.returncode:
        pytest.skip("mounting a small /dev/shm needs unshare and the rights of root")
    words = commands.changed(commands.overrides(photos), "dataset.image_size=256", "dataset.num_workers=2")
    command = ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh", commands.sys.executable, "-m", "visionkit"]
    done = subprocess.run(
        [*command, *words, f"run_dir={tmp_path / 'run'}"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(commands.REPOSITORY)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/dev/shm" in done.stdout
    assert "num_workers=0" in done.stdout
    assert (tmp_path / "run" / "metrics.json").exists()


def test_two_processes_leave_a_long_validation_within_ten_seconds_with_the_epoch_saved(tmp_path):
    process = commands.start(
        tmp_path, "task=detect", "dataset.scenes={train: 16, val: 4000, test: 4}", "recipe.epochs=2",
        "recipe.batch_size=8", "hardware=cpu", "hardware.devices=2", "run_dir=run",
    )  # fmt: skip
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, out + err
    assert time.monotonic() - began < 10
    assert "Interrupted in a validation, which begins again." in out
    assert not (tmp_path / "run" / "metrics.csv").exists()
    assert commands.still_running(tmp_path) == []

"""Sweeps whose runs take several processes each."""

import csv
import json
import signal
import time

import pytest

from tests.helpers import commands

SWEEP = ("backbone=lenet", "-m", "seed=0,1", "hardware=cpu", "hardware.devices=2", "debug=fast", "run_dir=a")
PLUGIN = """
import os, time
from pathlib import Path
from visionkit.training import evaluation

def wait(*arguments):
    Path(f"testing-{os.environ['RANK']}").touch()
    time.sleep(60)

evaluation._test = wait
"""
FALLING = """
import os
from pathlib import Path
from visionkit.data.transforms import InputTransform

_call = InputTransform.__call__

def call(self, images):
    if os.environ.get("RANK") == "1" and not Path("fell").exists():
        Path("fell").touch()
        raise ZeroDivisionError("worker one fell")
    return _call(self, images)

InputTransform.__call__ = call
"""


def _rows(folder):
    return list(csv.DictReader((folder / "a" / "sweep.csv").open()))


def _statuses(folder):
    return [row["status"] for row in _rows(folder)]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The folder of a sweep over two runs of two processes each, of which the first falls, and what was printed."""
    folder = tmp_path_factory.mktemp("swept")
    (folder / "falling.py").write_text(FALLING)
    return folder, *commands.run(folder, *SWEEP, "plugins=[falling]")


@pytest.mark.slow
def test_each_run_of_a_sweep_may_take_several_processes_and_says_as_little_as_any_other(swept):
    folder, _, out, _ = swept
    assert _statuses(folder) == ["failed", "done"]
    assert out.count("epoch 1/") == 1
    assert "batch    4" not in out
    assert "Everything lies in" not in out.rpartition("run 1")[0]
    assert "batch    4 = 2 processes x 2" in (folder / "a" / "1" / "log.txt").read_text()
    assert json.loads((folder / "a" / "1" / "metrics.json").read_text())["test/accuracy"] >= 0


@pytest.mark.slow
def test_a_worker_that_falls_is_the_reason_of_its_row_and_the_next_run_is_made(swept):
    folder, code, out, err = swept
    assert code == 2, out + err
    assert _statuses(folder) == ["failed", "done"]
    reason = _rows(folder)[0]["reason"]
    assert reason.startswith("a plugin of yours fails: ZeroDivisionError: worker one fell (")
    assert reason.endswith("falling.py, line 11).")
    assert f"run 0 failed: {reason}" in " ".join(out.split())
    log = (folder / "a" / "0" / "log.txt").read_text()
    assert log.count("Traceback") == 1
    assert "ZeroDivisionError: worker one fell" in log
    assert "Traceback" not in out + err
    assert commands.still_running(folder) == []


@pytest.mark.slow
def test_ctrl_c_while_two_processes_test_ends_the_sweep_with_130(tmp_path):
    (tmp_path / "waiting.py").write_text(PLUGIN)
    process = commands.start(tmp_path, *SWEEP, "plugins=[waiting]")
    deadline = time.monotonic() + 90
    while len(list(tmp_path.glob("testing-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert _statuses(tmp_path) == ["interrupted"]
    assert "Traceback" not in err
    assert commands.still_running(tmp_path) == []

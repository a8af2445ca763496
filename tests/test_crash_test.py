"""The tool that kills runs notices what differs, and finds nothing in a quick test."""

import json
import shutil
import subprocess
import sys

import pytest
import torch

from tests.helpers.paths import REPOSITORY

TOOLS = str(REPOSITORY / "tools")


@pytest.fixture(scope="module")
def differences():
    sys.path.insert(0, TOOLS)
    try:
        from crashes.compare import differences

        yield differences
    finally:
        sys.path.remove(TOOLS)


@pytest.fixture
def runs(tmp_path):
    """Two folders of one run."""
    one = tmp_path / "one"
    (one / "checkpoints").mkdir(parents=True)
    (one / "plots").mkdir()
    optimizer = {"state": {0: {"momentum_buffer": torch.ones(3)}}}
    torch.save(
        {"state_dict": {"a": torch.ones(2)}, "optimizer_states": [optimizer], "hyper_parameters": {"run_dir": "one"}},
        one / "checkpoints" / "last.ckpt",
    )
    (one / "metrics.json").write_text('{"test/loss": 0.25, "training_seconds": 3}')
    (one / "metrics.csv").write_text("epoch,val/loss,seconds\n1,0.5,2\n")
    (one / "plots" / "curves.png").write_bytes(b"png")
    (one / "log.txt").write_text("one")
    return one, shutil.copytree(one, tmp_path / "other")


def test_two_runs_that_differ_in_paths_and_times_alone_are_equal(differences, runs):
    _, other = runs
    (other / "log.txt").write_text("other")
    (other / "metrics.json").write_text('{"test/loss": 0.25, "training_seconds": 4}')
    (other / "metrics.csv").write_text("epoch,val/loss,seconds\n1,0.5,9\n")
    content = torch.load(other / "checkpoints" / "last.ckpt", weights_only=True)
    torch.save({**content, "hyper_parameters": {"run_dir": "other"}}, other / "checkpoints" / "last.ckpt")
    assert differences(*runs) == []


def _change_moment(other):
    content = torch.load(other / "checkpoints" / "last.ckpt", weights_only=True)
    content["optimizer_states"][0]["state"][0]["momentum_buffer"][1] += 1e-7
    torch.save(content, other / "checkpoints" / "last.ckpt")


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (_change_moment, "checkpoints/last.ckpt: optimizer_states.0.state.0.momentum_buffer"),
        (lambda other: (other / "metrics.json").write_text('{"test/loss": 0.25000001}'), "metrics.json: test/loss"),
        (
            lambda other: (other / "metrics.csv").write_text("epoch,val/loss,seconds\n1,0.50000001,2\n"),
            "metrics.csv: row 0, val/loss",
        ),
        (lambda other: (other / "plots" / "curves.png").write_bytes(b"pnG"), "plots/curves.png: other bytes"),
        (lambda other: (other / "plots" / "curves.png").unlink(), "plots/curves.png: left over"),
        (lambda other: (other / ".last.ckpt.7.tmp").touch(), ".last.ckpt.7.tmp: missing"),
    ],
)
def test_each_digit_and_each_file_counts(differences, runs, change, difference):
    change(runs[1])
    assert differences(*runs) == [difference]


@pytest.mark.slow
def test_runs_that_are_killed_end_as_if_they_had_not_been(tmp_path):
    command = [sys.executable, f"{TOOLS}/crash_test.py", "--quick", "--json", str(tmp_path / "kills.json")]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=850, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads((tmp_path / "kills.json").read_text())
    assert (report["bad"], len(report["trials"])) == (0, 2)
    kills = [kill for trial in report["trials"] for kill in trial["kills"]]
    assert [kill["signal"] for kill in kills] == ["SIGKILL"] * 2
    assert {kill["target"] for kill in kills} == {"command", "process"}

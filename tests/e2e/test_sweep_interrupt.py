"""Sweeps that are cut, and runs in processes of their own."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

FAST = ("hardware=cpu", "debug=fast", "backbone=lenet")


def table(folder):
    with (folder / "sweep.csv").open() as file:
        return {int(row["number"]): row for row in csv.DictReader(file)}


def metrics(run):
    numbers = json.loads((run / "metrics.json").read_text())
    return {name: value for name, value in numbers.items() if name != "training_seconds"}


def strike(words, folder, *, number, when):
    """Start a command, signal it when files are there, and wait for its end: exit code, output and process id."""
    command = [sys.executable, "-m", "visionkit", *words]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 120
        while not all((folder / file).exists() for file in when) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, output, process.pid


def test_ctrl_c_at_the_moment_when_a_run_has_ended_loses_no_row(cli, in_empty_folder, monkeypatch):
    from visionkit.sweeps import job

    real = job.read_metrics

    def struck(folder):
        os.kill(os.getpid(), signal.SIGINT)
        return real(folder)

    with monkeypatch.context() as patch:
        patch.setattr(job, "read_metrics", struck)
        assert cli("-m", *FAST, "seed=0,1", "run_dir=a")[0] == 130
    rows = table(in_empty_folder / "a")
    assert {number: row["status"] for number, row in rows.items()} == {0: "done"}
    assert float(rows[0]["val/accuracy"]) >= 0
    assert cli("-m", *FAST, "seed=0,1", "run_dir=a", "resume=true")[0] == 0
    assert [row["status"] for row in table(in_empty_folder / "a").values()] == ["done", "done"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_is_done_and_the_sweep_goes_on_within_the_run(cli, in_empty_folder, number):
    words = ["-m", "hardware=cpu", "backbone=lenet", "recipe.epochs=1,15", "run_dir=a"]
    history = in_empty_folder / "a" / "1" / "metrics.csv"
    code, output, _ = strike(words, in_empty_folder, number=number, when=[history])
    rows = table(in_empty_folder / "a")
    assert code == 128 + number, output
    assert "Traceback" not in output
    assert [rows[0]["status"], rows[1]["status"]] == ["done", "interrupted"]
    assert "run_dir=a resume=true" in output
    trained = history.read_text()
    assert cli(*words, "resume=true")[0] == 0
    assert history.read_text().startswith(trained)
    assert len(history.read_text().splitlines()) == 16
    assert table(in_empty_folder / "a")[1]["status"] == "done"


@pytest.mark.slow
def test_runs_side_by_side_equal_runs_one_by_one(cli, in_empty_folder):
    words = ("-m", *FAST, "seed=0,1,2", "backbone.stages.c1.conv.kernel_size=3,99")
    code, out, _ = cli(*words, "run_dir=b", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // 2))
    try:
        assert cli(*words, "run_dir=a")[0] == code == 2
    finally:
        torch.set_num_threads(threads)
    one, other = table(in_empty_folder / "a"), table(in_empty_folder / "b")
    assert [one[n]["status"] for n in range(6)] == [other[n]["status"] for n in range(6)] == ["done", "failed"] * 3
    for number in (0, 2, 4):
        assert metrics(in_empty_folder / "a" / str(number)) == metrics(in_empty_folder / "b" / str(number))
    assert "epoch" not in out.split("by val/accuracy")[0]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_reaches_runs_side_by_side_and_no_process_stays(tmp_path, number):
    words = ["-m", "hardware=cpu", "recipe.epochs=400", "seed=0,1,2", "run_dir=a", "hydra/launcher=joblib",
             "hydra.launcher.n_jobs=2"]  # fmt: skip
    code, output, pid = strike(words, tmp_path, number=number, when=[f"a/{n}/metrics.csv" for n in "01"])
    assert code == 128 + number, output
    rows = table(tmp_path / "a")
    assert {number: row["status"] for number, row in rows.items()} == {0: "interrupted", 1: "interrupted"}
    assert all((tmp_path / "a" / n / "checkpoints" / "last.ckpt").is_file() for n in "01")
    left = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in left.splitlines() if "loky" in line and str(pid) in line]


@pytest.mark.slow
def test_ctrl_c_while_the_row_of_a_run_side_by_side_is_written_loses_none(cli, in_empty_folder, monkeypatch):
    from visionkit.sweeps.folder import SweepFolder

    real = SweepFolder.add_row

    def struck(self, row):
        os.kill(os.getpid(), signal.SIGINT)
        real(self, row)

    monkeypatch.setattr(SweepFolder, "add_row", struck)
    words = ("seed=0,1,2", "run_dir=a", "hydra/launcher=joblib", "hydra.launcher.n_jobs=1")
    assert cli("-m", *FAST, *words)[0] == 130
    assert {number: row["status"] for number, row in table(in_empty_folder / "a").items()} == {0: "done"}

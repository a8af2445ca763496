"""The tool of the table of results: what is kept, what is wanted, and that each row is a command."""

import gzip
import importlib
import json
import shlex
import sys

import pytest

from tests.helpers.paths import REPOSITORY


@pytest.fixture
def results(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools"))
    return importlib.import_module("results")


@pytest.fixture
def run_tool(results, monkeypatch, tmp_path):
    """Calls the tool with runs that take no time; the exit code and the records."""

    def call(*words, accuracy=0.5, file="records.json"):
        def run(command, data, **_folders):
            metrics = {"val/accuracy": accuracy + 0.01, "test/accuracy": accuracy, "epochs": 2, "best_epoch": 1}
            return {**metrics, "training_seconds": 3.0}, {"command_seconds": 4.0, "processor_seconds": 5.0}

        monkeypatch.setattr(results, "run", run)
        monkeypatch.setattr(sys, "argv", ["results.py", *words, "--json", str(tmp_path / file)])
        return results.main(), results.read_records(tmp_path / file)

    return call


def test_each_seed_is_a_record_with_the_command_that_a_user_types(run_tool):
    code, records = run_tool("--row", "digits-100", "--seeds", "0,3")
    assert (code, [record["seed"] for record in records]) == (0, [0, 3])
    first = records[0]
    assert first["command"].startswith("python -m visionkit task=classify backbone=lenet dataset=digits")
    assert first["command"].endswith(" seed=0")
    assert (first["val"], first["test"], first["training_seconds"]) == ({"accuracy": 0.51}, {"accuracy": 0.5}, 3.0)
    assert {"commit", "date", "environment", "row", "load"} <= set(first)


def test_a_row_with_a_teacher_has_the_commands_of_both_as_a_shell_takes_them(run_tool, results, monkeypatch):
    monkeypatch.setattr(results, "unpack", lambda *_args, **_more: None)
    _, (record,) = run_tool("--row", "mnist-lenet-taught", "--seeds", "2")
    teacher, student = record["command"].split(" && ")
    assert teacher.endswith(" seed=2 run_dir=teacher")
    assert "recipe.teacher={run:teacher,temperature:4.0,weight:0.7}" in shlex.split(student)
    assert student.endswith(" seed=2")


def test_the_test_split_is_read_once_per_row_and_seed_unless_asked_again(run_tool, capsys):
    run_tool("--row", "digits-100", "--seeds", "0")
    _, once = run_tool("--row", "digits-100", "--seeds", "0", accuracy=0.9)
    assert "the test split is read once (--again)" in capsys.readouterr().out
    _, again = run_tool("--row", "digits-100", "--seeds", "0", "--again", accuracy=0.9)
    assert ([r["test"]["accuracy"] for r in once], [r["test"]["accuracy"] for r in again]) == ([0.5], [0.5, 0.9])


def test_a_trial_shows_validation_alone_and_keeps_nothing(run_tool, capsys):
    code, records = run_tool("--row", "digits-100", "--seeds", "0", "--try", "recipe.lr=0.1")
    shown = capsys.readouterr().out
    assert (code, records) == (0, [])
    assert "recipe.lr=0.1 seed=0" in shown
    assert '"accuracy": 0.51' in shown
    assert '"accuracy": 0.5}' not in shown


@pytest.mark.parametrize(("accuracy", "mark"), [(0.53, "reached"), (0.529, "MISSED")])
def test_a_row_that_is_to_beat_another_is_judged_by_the_means_of_both(run_tool, capsys, accuracy, mark):
    run_tool("--row", "digits-100", "--seeds", "0,1")
    capsys.readouterr()
    run_tool("--row", "digits-100-small", "--seeds", "0,1", accuracy=accuracy)
    lines = [line for line in capsys.readouterr().out.splitlines() if "digits-100-small" in line]
    assert mark in next(line for line in lines if "points above" in line)


@pytest.mark.parametrize(("accuracy", "mark"), [(0.9955, "reached"), (0.9954, "MISSED")])
def test_a_row_is_judged_by_what_is_wanted(results, accuracy, mark):
    row = results.ROWS["mnist-lenet-tuned"]
    records = [{"row": "mnist-lenet-tuned", "command": "c seed=0", "seed": 0, "test": {"accuracy": accuracy}}]
    assert results.verdict(row, records) == ("accuracy >= 99.55%", mark == "reached")
    assert results.verdict(row, []) == ("accuracy >= 99.55%", None)


def test_other_words_are_another_measurement_of_the_row(results):
    old, new = ({"row": "r", "command": f"{words} seed={seed}", "seed": seed} for words, seed in (("a", 0), ("b", 1)))
    assert results.newest([old, new], "r") == [new]


def test_absent_data_is_named_and_ends_with_2(results, monkeypatch, tmp_path, capsys):
    words = ["--row", "cifar10-resnet20", "--shared", str(tmp_path / "none"), "--data", str(tmp_path / "data")]
    monkeypatch.setattr(sys, "argv", ["results.py", *words, "--json", str(tmp_path / "r.json")])
    assert results.main() == 2
    error = capsys.readouterr().err
    assert "cifar10-jpeg.tar.gz' is there. Expected the data set 'cifar10'. Try: --shared FOLDER" in error
    assert not list(tmp_path.iterdir())


def test_archives_are_unpacked_whole_and_once(results, tmp_path):
    raw = tmp_path / "shared" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "labels.gz").write_bytes(gzip.compress(b"labels"))
    for _ in range(2):
        results.unpack("mnist", shared=tmp_path / "shared", folder=tmp_path / "data")
    assert (tmp_path / "data" / "mnist" / "MNIST" / "raw" / "labels").read_bytes() == b"labels"
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["mnist"]


@pytest.mark.slow
def test_a_quick_row_trains_by_the_command_and_is_kept(results, monkeypatch, tmp_path):
    file = tmp_path / "quick.json"
    monkeypatch.setattr(sys, "argv", ["results.py", "--quick", "--json", str(file), "--data", str(tmp_path)])
    assert results.main() == 0
    (record,) = json.loads(file.read_text())
    assert (record["row"], record["epochs"]) == ("digits-100", 1)
    assert 0 <= record["test"]["accuracy"] <= 1

"""The list of runs: made folders, as train leaves them, damaged ones, and what is no run."""

import json
import os
import socket
from pathlib import Path

import pytest

from tests.helpers.commands import run as run_process
from visionkit.runs.folder import FORMAT_VERSION, RunFolder
from visionkit.runs.listing import Headline, find_runs, headline, is_being_trained, list_runs
from visionkit.runs.lock import LOCK_NAME, RunLock
from visionkit.yaml_files import dump_yaml

METRICS = {"test/accuracy": 0.9, "test/accuracy_low": 0.8, "test/accuracy_high": 0.95, "val/accuracy": 0.91}


def _make_run(path, *, started="2026-01-02T03:04:05+00:00", metrics=METRICS, task="classify", data=None):
    path.mkdir(parents=True)
    head = {"format_version": FORMAT_VERSION, "started": started}
    sections = {"backbone": {"name": "lenet", "stages": {"c1": {"name": "inner"}}}, "task": {"name": task}}
    data = {"mean": [0.1], "scenes": {"type": "inner"}, "type": "digits"} if data is None else data
    (path / "config.yaml").write_text(dump_yaml({**head, **sections, "dataset": data}))
    (path / "environment.json").write_text("{}")
    if metrics is not None:
        (path / "metrics.json").write_text(json.dumps(metrics))
    return path


def _only(root, **options):
    (run,) = list_runs(root, **options)
    return run


def test_a_finished_run_has_its_words_its_metric_with_interval_and_its_date(tmp_path):
    run = _only(_make_run(tmp_path / "runs" / "a").parent)
    assert (run.state, run.task, run.backbone, run.data, run.root) == ("done", "classify", "lenet", "digits", "")
    assert run.headline == Headline("test/accuracy", 0.9, 0.8, 0.95)
    assert run.started.isoformat()[:10] == "2026-01-02"


def test_what_is_listed_is_what_the_configuration_of_a_trained_run_says(shared_runs):
    path = shared_runs.of("classify")
    run, folder = _only(path), RunFolder(path)
    plain, metrics = folder.read_config(), json.loads(folder.metrics_file.read_text())
    words = (plain["task"]["name"], plain["backbone"]["name"], plain["dataset"]["type"])
    assert (run.state, run.task, run.backbone, run.data) == ("done", *words)
    values = [metrics[f"test/accuracy{end}"] for end in ("", "_low", "_high")]
    assert [run.headline.value, run.headline.low, run.headline.high] == values
    assert run.started == folder.started


@pytest.mark.parametrize(
    "root", ["photos", "7", "it's here: #1", "données/été", "a" * 70 + " and " + "b" * 40, "tab\there"]
)
def test_the_folder_of_the_data_is_the_one_written_however_yaml_quotes_it(tmp_path, root):
    _make_run(tmp_path / "a", data={"root": root, "type": "folder"})
    assert (_only(tmp_path).root, _only(tmp_path).data) == (root, "folder")


def test_runs_are_found_at_any_depth_but_not_inside_a_run_or_a_hidden_folder(tmp_path):
    wanted = {_make_run(tmp_path / name) for name in ("a", "x/y/b", "sweeps/s/0", "sweeps/s/1")}
    _make_run(tmp_path / "a" / "predictions" / "inner")
    _make_run(tmp_path / ".hidden" / "c")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text("defaults: []\n")
    assert set(find_runs(tmp_path)) == wanted


def test_a_run_is_found_in_its_own_folder_and_with_nothing_but_its_configuration(tmp_path):
    path = _make_run(tmp_path / "a", metrics=None)
    (path / "environment.json").unlink()
    assert list(find_runs(path)) == [path]
    assert _only(tmp_path).state == "unfinished"


def test_the_newest_stands_last_whatever_the_names_say(tmp_path):
    for name, day in (("b", 1), ("c", 3), ("a", 2)):
        _make_run(tmp_path / name, started=f"2026-01-0{day}T00:00:00+00:00")
    assert [run.path.name for run in list_runs(tmp_path)] == ["b", "a", "c"]


def test_runs_of_one_task_are_picked_and_those_that_cannot_be_told_are_kept(tmp_path):
    _make_run(tmp_path / "a")
    _make_run(tmp_path / "b", task="detect", metrics={"test/map": 0.5})
    (_make_run(tmp_path / "c") / "config.yaml").write_text("")
    assert [run.path.name for run in list_runs(tmp_path, task="detect")] == ["c", "b"]


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("config.yaml", "", "config.yaml names no task and backbone"),
        ("config.yaml", "format_version: 4\nbackbone:\n  name: lenet\n", "config.yaml names no task and backbone"),
        (
            "config.yaml",
            "backbone:\n  name: a\ntask:\n  name: classify\n",
            "no format_version, and this visionkit reads",
        ),
        ("metrics.json", '{"test/accuracy": ', "is no JSON document"),
        ("metrics.json", '{"test/accuracy": "x"}', "is no number"),
        ("metrics.json", "[1]", "holds no mapping"),
    ],
)
def test_a_damaged_run_is_named_with_what_is_wrong(tmp_path, file, text, problem):
    path = _make_run(tmp_path / "a")
    (path / file).write_text(text)
    run = _only(tmp_path)
    assert (run.state, run.headline) == ("damaged", None)
    assert problem in run.problem


def test_bytes_that_are_no_text_and_another_version_are_damage(tmp_path):
    (_make_run(tmp_path / "a") / "config.yaml").write_bytes(b"format_version: 4\n\xff\xfe\x00")
    path = _make_run(tmp_path / "b") / "config.yaml"
    path.write_text(path.read_text().replace(f"format_version: {FORMAT_VERSION}", "format_version: 3"))
    a, b = sorted(list_runs(tmp_path), key=lambda run: run.path)
    assert (a.state, b.state) == ("damaged", "damaged")
    assert "config.yaml cannot be read" in a.problem
    assert f"format_version 3, and this visionkit reads {FORMAT_VERSION}" in b.problem


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    run = _only(tmp_path)
    closed.chmod(0o700)
    assert (run.path, run.state, run.problem) == (closed, "damaged", "the folder cannot be read: permission denied")


def test_an_error_of_the_walk_becomes_a_line(tmp_path, monkeypatch):
    def walk(root, onerror):
        onerror(PermissionError(13, "Permission denied", str(tmp_path / "closed")))
        return iter(())

    monkeypatch.setattr("visionkit.runs.listing.os.walk", walk)
    assert _only(tmp_path).problem == "the folder cannot be read: permission denied"


def test_a_run_that_is_being_trained_is_said_and_its_lock_is_left_alone(tmp_path):
    path = _make_run(tmp_path / "a", metrics=None)
    lock = RunLock(path)
    before = (path / LOCK_NAME).stat()
    assert _only(tmp_path).state == "training now"
    after = (path / LOCK_NAME).stat()
    assert (before.st_mtime_ns, before.st_size, before.st_ino) == (after.st_mtime_ns, after.st_size, after.st_ino)
    lock.release()
    assert _only(tmp_path).state == "unfinished"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "nonsense",
        f"process 4000000 on {socket.gethostname()}",
        "process 1 on another-machine",
        "process 99999999999",
    ],
)
def test_a_lock_that_was_left_behind_is_not_a_training(tmp_path, content):
    path = _make_run(tmp_path / "a", metrics=None)
    (path / LOCK_NAME).write_text(content)
    assert not is_being_trained(path)
    assert _only(tmp_path).state == "unfinished"


@pytest.mark.skipif(not Path("/proc/uptime").exists(), reason="needs /proc")
def test_a_later_process_of_the_same_number_is_not_the_training(tmp_path):
    (tmp_path / LOCK_NAME).write_text(f"process {os.getpid()} on {socket.gethostname()}")
    assert is_being_trained(tmp_path)
    os.utime(tmp_path / LOCK_NAME, (1e9, 1e9))
    assert not is_being_trained(tmp_path)


def test_the_headline_is_that_of_validation_where_nothing_was_tested_and_none_of_an_unknown_task():
    assert headline("segment", {"val/mean_iou": 0.5}) == Headline("val/mean_iou", 0.5)
    assert headline("detect", {"test/map": 0.4, "test/map_low": float("nan"), "test/map_high": 0.5}).low is None
    assert headline("mine", METRICS) is None
    assert headline("detect", {}) is None


def test_a_thousand_runs_are_listed_without_torch_hydra_or_lightning(tmp_path):
    for number in range(1000):
        _make_run(tmp_path / f"g{number % 10}" / str(number))
    code = (
        "import sys, pathlib; from visionkit.runs.listing import list_runs; "
        "runs = list_runs(pathlib.Path(sys.argv[1])); assert len(runs) == 1000; "
        "assert all(run.state == 'done' for run in runs); "
        "print(sorted({'torch', 'hydra', 'omegaconf', 'lightning', 'numpy'} & set(sys.modules)))"
    )
    (tmp_path / "listing_once.py").write_text(code.replace("; ", "\n"))
    code, out, err = run_process(tmp_path, "-m", "listing_once", str(tmp_path))
    assert (code, out.strip()) == (0, "[]"), err

"""The run folder: its files, its errors, and writes that are whole."""

import json
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from visionkit.errors import UserError
from visionkit.files import write_atomic
from visionkit.runs.folder import RunFolder

PLAIN = {"task": {"name": "classify"}, "backbone": {"name": "lenet"}}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_new_run_lies_below_runs_and_holds_its_configuration():
    folder = RunFolder.create("classify-lenet-digits", None, {"seed": 3})
    assert folder.path.parent.as_posix() == "runs/classify-lenet-digits"
    document = yaml.safe_load(folder.config_file.read_text())
    assert list(document) == ["format_version", "started", "seed"]
    assert datetime.now().astimezone() - datetime.fromisoformat(document["started"]) < timedelta(minutes=1)
    assert folder.read_config() == {"seed": 3}


def test_two_runs_in_one_second_get_two_folders():
    first, second = (RunFolder.create("a-b-c", None, {}) for _ in range(2))
    assert first.path != second.path


def test_run_dir_moves_the_folder(tmp_path):
    assert RunFolder.create("a-b-c", "elsewhere/x", {}).path.resolve() == tmp_path / "elsewhere" / "x"


def test_a_run_dir_that_holds_a_run_is_refused_and_left_alone():
    RunFolder.create("a-b-c", "x", {**PLAIN, "seed": 1})
    with pytest.raises(UserError, match=r"run_dir: 'x' already holds a run.*resume=true run=x"):
        RunFolder.create("a-b-c", "x", {"seed": 2})
    assert RunFolder.open("x").read_config() == {**PLAIN, "seed": 1}


def test_a_run_dir_with_anything_in_it_is_refused(tmp_path):
    write_atomic(tmp_path / "x" / "notes.txt", "mine")
    with pytest.raises(UserError, match=r"run_dir: the folder 'x' is not empty; it holds 'notes.txt'.*run_dir=x/run"):
        RunFolder.plan("a-b-c", "x")


def test_an_empty_run_dir_is_taken(tmp_path):
    (tmp_path / "x").mkdir()
    assert RunFolder.create("a-b-c", "x", {"seed": 1}).read_config() == {"seed": 1}


def test_a_run_dir_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(UserError, match="run_dir: the folder 'x' cannot be written: 'x' is a file"):
        RunFolder.create("a-b-c", "x", {})


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(UserError, match="run_dir: the folder 'x/y' cannot be written: 'x' is a file"):
        RunFolder.create("a-b-c", "x/y", {})


def test_two_runs_planned_in_the_same_second_get_two_folders(monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda _: "now")
    first, second = RunFolder.plan("a-b-c", None), RunFolder.plan("a-b-c", None)
    assert first.path == second.path
    for folder in (first, second):
        folder.reserve()
    assert [folder.path.name for folder in (first, second)] == ["now", "now_2"]
    assert second.splits_file.parent == second.path
    second.discard()
    assert [path.name for path in first.path.parent.iterdir()] == ["now"]


def test_discarding_leaves_folders_that_were_there_before(tmp_path):
    (tmp_path / "mine" / "empty").mkdir(parents=True)
    for run_dir in ("mine/empty", "mine/empty/a/b"):
        folder = RunFolder.plan("a-b-c", run_dir)
        folder.reserve()
        write_atomic(folder.splits_file, "{}")
        folder.discard()
        assert list((tmp_path / "mine" / "empty").iterdir()) == []


def test_planning_writes_nothing_and_discarding_takes_back_the_split(tmp_path):
    folder = RunFolder.plan("a-b-c", None)
    assert list(tmp_path.iterdir()) == []
    folder.reserve()
    write_atomic(folder.splits_file, "{}")
    folder.discard()
    assert list(tmp_path.iterdir()) == []


def test_discarding_leaves_a_run_alone():
    folder = RunFolder.create("a-b-c", None, {})
    write_atomic(folder.splits_file, "{}")
    folder.discard()
    assert folder.splits_file.exists()


def test_latest_is_the_run_that_was_begun_last_whenever_its_files_were_touched_or_its_folder_renamed():
    names = ("b-b-b", "a-a-a", "c-c-c")
    folders = [RunFolder.create(name, None, {}) for name in names]
    os.utime(folders[0].config_file)
    assert RunFolder.open("latest").path == folders[2].path
    shutil.copytree(folders[1].path, "runs/z-z-z/2099-01-01_00-00-00")
    folders[2].path.rename("runs/c-c-c/mine")
    assert RunFolder.open("latest").path == Path("runs/c-c-c/mine")


def test_of_a_run_and_its_copy_latest_is_always_the_same():
    folder = RunFolder.create("b-b-b", None, {})
    shutil.copytree(folder.path, f"{folder.path} (copy)")
    assert RunFolder.open("latest").path == folder.path


def test_a_run_that_does_not_say_when_it_was_begun_goes_by_the_name_of_its_folder():
    for name in ("2026-03-01_10-00-00_2", "2026-03-01_09-59-59", "mine"):
        write_atomic(Path("runs/a", name, "config.yaml"), "format_version: 4\nstarted: yesterday\n")
    assert RunFolder.open("latest").path.name == "2026-03-01_10-00-00_2"


def test_the_latest_run_is_found_without_parsing_the_configurations_of_all(monkeypatch):
    """The strict loader takes some 30 ms a file."""
    folders = [RunFolder.create("a-b-c", None, {"task": {"started": "2099-01-01"}}) for _ in range(3)]
    monkeypatch.setattr(yaml, "load", lambda *arguments, **options: pytest.fail("parsed"))
    assert RunFolder.latest().path == folders[2].path


@pytest.mark.parametrize("line", ["started: 2026-05-04T03:02:01+00:00", "started:   '2026-05-04T03:02:01+00:00'  # x"])
def test_the_moment_of_the_beginning_is_read_however_it_is_quoted_and_wherever_it_stands(line):
    write_atomic(Path("runs/a/mine/config.yaml"), f"backbone:\n  started: 2099-01-01\n{line}\nformat_version: 4\n")
    assert RunFolder.latest().started == datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def test_a_resumed_run_was_begun_when_it_was_begun():
    folder = RunFolder.create("a-b-c", None, {})
    started = folder.started
    folder.start({}, resume=True)
    assert folder.started == started


def test_the_latest_finished_run_is_another_than_the_latest():
    first, second = (RunFolder.create("a-b-c", None, {}) for _ in range(2))
    write_atomic(first.metrics_file, "{}")
    assert RunFolder.latest().path == second.path
    assert RunFolder.latest(finished=True).path == first.path


def test_latest_without_any_run_says_how_to_get_one():
    with pytest.raises(UserError, match=r"run=latest: there is no run below 'runs' yet.*visionkit train"):
        RunFolder.open("latest")


@pytest.mark.parametrize(("make", "words"), [(False, "there is no such folder"), (True, "it has no config.yaml")])
def test_no_run_folder_is_named(tmp_path, make, words):
    if make:
        (tmp_path / "nothing").mkdir()
    with pytest.raises(UserError, match=rf"run: 'nothing' is no run folder: {words}.*run=latest"):
        RunFolder.open("nothing")


@pytest.mark.parametrize("values", [{}, {"task": "classify"}, {"task": {"name": "classify"}}, {"backbone": {}}])
def test_the_configuration_of_something_else_makes_no_run_folder(tmp_path, values):
    write_atomic(tmp_path / "other" / "config.yaml", yaml.safe_dump(values))
    with pytest.raises(
        UserError, match=r"run: 'other' is no run folder: its config.yaml names no task and no backbone"
    ):
        RunFolder.open("other")


@pytest.mark.parametrize(
    ("text", "words"), [("[1]", "holds no mapping"), ("a: [", "line 1, column 5: not a plain YAML file")]
)
def test_a_broken_configuration_is_named(text, words):
    folder = RunFolder.create("a-b-c", "x", {})
    folder.config_file.write_text(text)
    with pytest.raises(UserError, match=words):
        folder.read_config()


def test_numbers_that_are_not_finite_become_null_in_json():
    folder = RunFolder.create("a-b-c", "x", {})
    folder.write_json(folder.metrics_file, {"a": float("nan"), "b": [1.5, float("inf")], "c": 2})
    assert json.loads(folder.metrics_file.read_text()) == {"a": None, "b": [1.5, None], "c": 2}


def test_history_comes_back_as_it_was_written():
    folder = RunFolder.create("a-b-c", "x", {})
    assert folder.read_history() == []
    folder.write_csv(folder.history_file, ["epoch", "val/loss", "lr"], [[1, 0.5, None], [2, 0.25, 0.1]])
    assert folder.read_history() == [{"epoch": 1.0, "val/loss": 0.5}, {"epoch": 2.0, "val/loss": 0.25, "lr": 0.1}]


@pytest.mark.parametrize(
    "text", ["epoch,val/loss\n1,oops\n", "loss\n1\n", "epoch\n1,2,3\n", "", "epoch,val/loss\n1,0.12"]
)
def test_a_damaged_history_is_named(text):
    folder = RunFolder.create("a-b-c", "x", {})
    folder.history_file.write_text(text)
    with pytest.raises(UserError, match=r"metrics.csv' is damaged: .*train run="):
        folder.read_history()


def test_the_configuration_begins_with_the_version_of_the_folders_format(tmp_path):
    folder = RunFolder.create("x", str(tmp_path / "run"), {"task": {"name": "classify"}, "backbone": {"name": "lenet"}})
    assert folder.config_file.read_text().startswith("format_version: 4\n")
    assert "format_version" not in folder.read_config()


@pytest.mark.parametrize(
    ("line", "found"),
    [("", "no format_version"), ("format_version: 1\n", "format_version 1"), ("format_version: true\n", "true")],
)
def test_a_run_of_another_format_is_refused_in_words(tmp_path, line, found):
    folder = RunFolder.create("x", str(tmp_path / "run"), {"task": {"name": "classify"}, "backbone": {"name": "lenet"}})
    folder.config_file.write_text(folder.config_file.read_text().replace("format_version: 4\n", line))
    with pytest.raises(
        UserError, match=rf"has {found}|has format_version {found}.*this visionkit reads 4.*Train it again"
    ):
        RunFolder.open(str(folder.path))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("#" * (5 << 20) + "\n", "has 5 MiB, and such a file is read up to 4 MiB"),
        ("x: !!python/object/apply:os.system [true]", "os.system' is not allowed"),
        ("a: \xff".encode("latin-1"), "can't decode"),
    ],
)
def test_the_config_of_a_stranger_is_refused_with_the_reason(tmp_path, content, reason):
    (tmp_path / "config.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=rf"config.yaml'.*{reason}"):
        RunFolder.open(str(tmp_path))

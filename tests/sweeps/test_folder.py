"""What a sweep leaves behind, and what is made of it when it goes on."""

import pytest
import yaml

from visionkit.errors import UserError
from visionkit.sweeps.folder import SweepFolder
from visionkit.sweeps.job import Job, RunRow

HEADER = "number,status,seed,val/accuracy,parameters,seconds,reason\n"


@pytest.fixture
def folder(tmp_path):
    """A sweep with a table of two rows."""
    made = SweepFolder.plan(str(tmp_path / "a"), ["seed=0,1"])
    made.start()
    made.add_row(RunRow(0, {"seed": "0"}, "interrupted", seconds=3.5))
    made.add_row(RunRow(1, {"seed": "1"}, "failed", seconds=1.25, reason='it broke,\n"badly"'))
    return made


def reopened(folder):
    return SweepFolder.open(str(folder.path), folder.overrides)


def test_a_row_is_read_as_it_was_written(folder):
    again = reopened(folder)
    assert again.read_row(0, {"seed": "0"}) == folder.rows[0]
    assert again.read_row(1, {"seed": "1"}) == folder.rows[1]


def test_two_sweeps_that_begin_in_one_second_have_a_folder_each(in_empty_folder, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda form: "now")
    folders = [SweepFolder.plan(None, ["seed=0"]) for _ in range(3)]
    for folder in folders:
        folder.start()
    assert [folder.path.name for folder in folders] == ["now", "now_2", "now_3"]
    assert all(yaml.safe_load(folder.sweep_file.read_text())["overrides"] == ["seed=0"] for folder in folders)


def test_of_two_sweeps_that_begin_in_one_folder_the_second_is_refused(tmp_path):
    one, other = (SweepFolder.plan(str(tmp_path / "a"), [f"seed={seed}"]) for seed in (0, 1))
    one.start()
    with pytest.raises(UserError, match=r"is training in"):
        other.start()
    one.release()
    with pytest.raises(UserError, match=r"already holds a sweep"):
        other.start()
    assert yaml.safe_load(one.sweep_file.read_text())["overrides"] == ["seed=0"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"status,seconds,reason\ndone,1.0,\n", "there is no column 'number' (line 1)"),
        (b"number,status,reason\n0,done,\n", "there is no column 'seconds' (line 2)"),
        ((HEADER + "0,done,0,0.5,10,1.0,\nx,done,1,0.5,10,1.0,\n").encode(), "literal for int() with base 10: 'x'"),
        ((HEADER + "0,done,0,0.5,10,soon,\n").encode(), "could not convert string to float: 'soon' (line 2)"),
        ((HEADER + "0,done,0,0.5,10,nan,\n").encode(), "seconds 'nan' is no time (line 2)"),
        ((HEADER + "0,finished,0,0.5,10,1.0,\n").encode(), "status 'finished' is none of done, failed"),
        ((HEADER + "0,done,0,0.5").encode(), "its cells are not as many as the columns (line 2)"),
        ((HEADER + "0,done,0,0.5,10,1.0,,,\n").encode(), "its cells are not as many as the columns (line 2)"),
        ((HEADER + '0,failed,0,,,1.0,"cut').encode(), "unexpected end of data"),
        (b"\xff\xfen\x00u\x00m\x00", "there is no column 'number'"),
        (b"n\xfcmber\n", "codec can't decode"),
    ],
)
def test_a_table_that_somebody_has_changed_is_explained(folder, content, problem):
    folder.table_file.write_bytes(content)
    with pytest.raises(UserError) as error:
        reopened(folder)
    assert f"resume: '{folder.table_file}' cannot be read: " in str(error.value)
    assert problem in str(error.value)
    assert "Mend it, or delete it: what is done is known from the runs' own folders." in str(error.value)


@pytest.mark.parametrize("content", ["", "[1, 2]", "overrides: 3", "search: {}", "{", "\0"])
def test_a_file_of_a_sweep_that_somebody_has_changed_is_named(folder, content):
    folder.sweep_file.write_text(content)
    with pytest.raises(UserError, match=r"^resume: '.*sweep.yaml'.*(is not the file that a|not a plain YAML)"):
        reopened(folder)


@pytest.mark.parametrize("content", ["{", "[1]", '{"val/accuracy": "good"}', "\xff"])
def test_numbers_of_a_run_that_somebody_has_changed_are_explained(folder, content):
    run = folder.path / "0"
    run.mkdir()
    (run / "config.yaml").touch()
    (run / "metrics.json").write_text(content, encoding="latin-1")
    with pytest.raises(UserError) as error:
        reopened(folder).finished(Job(0, {"seed": "0"}, None))
    assert str(error.value).startswith(f"'{run / 'metrics.json'}'")
    assert f"Delete the folder '{run}' to make the run again" in str(error.value)


def test_a_sweep_folder_has_one_owner(tmp_path):
    first = SweepFolder.plan(str(tmp_path / "s"), ["seed=0,1"])
    first.start()
    second = SweepFolder.open(str(tmp_path / "s"), ["seed=0,1"])
    with pytest.raises(UserError, match=r"process \d+ on .* is training in"):
        second.start()
    first.release()
    second.start()
    second.release()
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["sweep.yaml"]


def test_a_run_that_begins_anew_loses_nothing(tmp_path):
    folder, said = SweepFolder.plan(str(tmp_path / "s"), ["seed=0,1"]), []
    folder.say = said.append
    for name in ("0/checkpoints/last.ckpt", "0/notes.txt", "1/config.yaml"):
        (tmp_path / "s" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "s" / name).write_text("mine")
    assert [folder.clear_or_resume(Job(number, {}, None)) for number in (0, 1)] == [None, None]
    assert (tmp_path / "s" / "0_old1" / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["0_old1"]
    assert said == [f"'{tmp_path / 's' / '0'}' begins anew; what it held is in '{tmp_path / 's' / '0_old1'}'"]

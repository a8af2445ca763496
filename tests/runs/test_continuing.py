"""What ``resume=auto`` finds in a folder."""

import copy

import pytest

from visionkit.errors import UserError
from visionkit.runs.continuing import clear_unsaved, find_continuation
from visionkit.runs.folder import RunFolder
from visionkit.runs.later_keys import with_later_keys
from visionkit.runs.objects import RunObjects

PLAIN = {
    "task": {"name": "classify"}, "backbone": {"name": "lenet"}, "head": {"type": "linear"}, "seed": 0,
    "recipe": {"epochs": 2, "lr": 0.1, "early_stopping": None, "ema": None, "checkpoint_every": "10m"},
    "dataset": {"type": "digits", "num_workers": 0, "root": "a"}, "hardware": {"devices": 1}, "weights": None,
    "debug": {"epochs": None}, "callbacks": [], "plugins": [], "format": "text",
}  # fmt: skip


def _plain(folder, **changes):
    plain = copy.deepcopy({**PLAIN, "run_dir": str(folder)})
    for key, value in changes.items():
        *path, last = key.split("__")
        section = plain
        for name in path:
            section = section[name]
        section[last] = value
    return plain


def _find(folder, **changes):
    return find_continuation(_plain(folder, **changes), RunObjects())


@pytest.fixture
def run(tmp_path):
    """A run that was begun, with a checkpoint."""
    folder = RunFolder(tmp_path / "run")
    folder.reserve()
    folder.start(_plain(folder.path))
    folder.last_checkpoint.parent.mkdir()
    folder.last_checkpoint.write_bytes(b"state")
    return folder


def _finish(run, epochs=2):
    run.metrics_file.write_text(f'{{"epochs": {epochs}}}')


@pytest.mark.parametrize("exists", [False, True])
def test_a_run_is_begun_where_there_is_none(tmp_path, exists):
    folder = tmp_path / "run"
    if exists:
        folder.mkdir()
    found = _find(folder)
    assert (found.plain, found.resume_from, found.is_finished) == (_plain(folder), None, False)


def test_a_run_with_a_checkpoint_goes_on_with_what_may_change(run):
    found = _find(run.path, recipe__epochs=5, dataset__num_workers=2, hardware={"devices": 2}, format="json")
    assert (found.resume_from.path, found.is_finished) == (run.path, False)
    expected = _plain(run.path, recipe__epochs=5, dataset__num_workers=2, hardware={"devices": 2}, format="json")
    assert with_later_keys(found.plain) == with_later_keys(expected)


def test_a_run_that_its_time_ended_goes_on_with_more_of_it(run):
    run.start(_plain(run.path, recipe__epochs=9, recipe__max_time="20m"), resume=True)
    _finish(run, epochs=4)
    assert _find(run.path, recipe__epochs=9, recipe__max_time="20m").is_finished
    assert not _find(run.path, recipe__epochs=9, recipe__max_time="40m").is_finished


def test_a_teacher_that_was_moved_is_looked_for_where_it_lies_now(run):
    teacher = {"run": "a", "temperature": 4.0, "weight": 0.5}
    run.start(_plain(run.path, recipe__teacher=teacher), resume=True)
    found = _find(run.path, recipe__teacher={**teacher, "run": "b"})
    assert found.plain["recipe"]["teacher"] == {**teacher, "run": "b"}


def test_the_weights_that_a_run_was_begun_with_stay_in_its_configuration(run):
    assert _find(run.path, weights="run:latest").plain["weights"] is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe__lr": 0.2}, r"recipe.lr: found 0.2, but the run in '.*run' was begun with 0.1, and resume=auto"),
        ({"seed": 1}, r"seed: found 1, but the run .* was begun with 0"),
        ({"head": {"type": "mlp"}}, r"head.type: found \"mlp\""),
        ({"run_dir": None}, r"resume=auto goes on with the run in run_dir=FOLDER, .* Try: run_dir=runs/mine resume"),
    ],
)
def test_a_command_that_did_not_begin_the_run_is_refused_and_nothing_is_changed(run, changes, message):
    before = run.config_file.read_bytes()
    with pytest.raises(UserError, match=message):
        _find(run.path, **changes)
    assert run.config_file.read_bytes() == before


def test_a_finished_run_is_finished_until_more_epochs_are_asked_for(run):
    _finish(run)
    assert _find(run.path).is_finished
    found = _find(run.path, recipe__epochs=3)
    assert (found.is_finished, found.resume_from.path) == (False, run.path)


def test_a_run_that_ended_early_is_finished_if_it_was_asked_for_so_many_epochs(run):
    stopping = {"patience": 1}
    run.start(_plain(run.path, recipe__epochs=9, recipe__early_stopping=stopping), resume=True)
    _finish(run, epochs=4)
    assert _find(run.path, recipe__epochs=9, recipe__early_stopping=stopping).is_finished
    assert not _find(run.path, recipe__epochs=10, recipe__early_stopping=stopping).is_finished


def test_what_a_run_left_that_saved_nothing_is_removed_and_nothing_else(run):
    run.last_checkpoint.unlink()
    run.log_file.write_text("begun")
    run.history_file.write_text("epoch,step\n1,4\n")
    mine = run.path / "mine.txt"
    mine.write_text("kept")
    assert _find(run.path).resume_from is None
    clear_unsaved(str(run.path))
    assert [file.name for file in run.path.iterdir()] == ["mine.txt"]


def test_a_run_that_has_saved_or_is_finished_or_is_being_trained_keeps_its_files(run):
    clear_unsaved(str(run.path))
    assert run.config_file.exists()
    run.last_checkpoint.unlink()
    _finish(run)
    clear_unsaved(str(run.path))
    assert run.config_file.exists()
    run.metrics_file.unlink()
    run.lock()
    with pytest.raises(UserError, match="is training in"):
        clear_unsaved(str(run.path))
    assert run.config_file.exists()
    run.unlock()


def test_a_run_of_several_epochs_that_lost_its_checkpoints_is_not_begun_anew(run):
    run.last_checkpoint.unlink()
    run.history_file.write_text("epoch,step\n1,4\n2,8\n")
    assert _find(run.path).resume_from.path == run.path
    clear_unsaved(str(run.path))
    assert run.history_file.exists()

"""A run folder has one owner."""

import os
import subprocess
import sys

import pytest

from visionkit.errors import UserError
from visionkit.runs.folder import RunFolder
from visionkit.runs.lock import RunLock

HOLD = """
import pathlib, sys
from visionkit.runs.lock import RunLock
lock = RunLock(pathlib.Path(sys.argv[1]))
print(1, flush=True)
input()
"""


def test_a_second_owner_is_refused_with_process_and_machine(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    holder.stdout.readline()
    with pytest.raises(
        UserError, match=rf"run: process {holder.pid} on \S+ is training in '{tmp_path}'.*run_dir=FOLDER"
    ):
        RunLock(tmp_path)
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    RunLock(tmp_path).release()
    assert os.listdir(tmp_path) == []


def test_the_lock_can_be_taken_again_after_it_was_released(tmp_path):
    first = RunLock(tmp_path)
    with pytest.raises(UserError, match=f"process {os.getpid()} on"):
        RunLock(tmp_path)
    first.release()
    first.release()
    RunLock(tmp_path).release()


def test_what_a_killed_process_left_half_written_goes_with_the_lock(tmp_path):
    folder = RunFolder(tmp_path)
    folder.last_checkpoint.parent.mkdir()
    half, mine = folder.last_checkpoint.parent / ".last.ckpt.4711.tmp", tmp_path / "notes.tmp"
    half.touch()
    mine.touch()
    folder.lock()
    folder.unlock()
    assert (half.exists(), mine.exists()) == (False, True)


def test_a_new_run_does_not_replace_the_configuration_of_another(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.reserve()
    folder.start({"seed": 1})
    with pytest.raises(UserError, match="already holds a run"):
        RunFolder(tmp_path / "run").start({"seed": 2})
    assert folder.read_config() == {"seed": 1}
    folder.start({"seed": 3}, resume=True)
    assert folder.read_config() == {"seed": 3}


def test_a_folder_with_a_lock_alone_is_free(tmp_path):
    (tmp_path / ".lock").touch()
    RunFolder.check_free(str(tmp_path))


def test_a_folder_that_was_moved_away_is_noticed(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.check_present()
    folder.reserve()
    folder.lock()
    folder.check_present()
    folder.path.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"run' was moved or removed while the run was trained"):
        folder.check_present()


def test_the_lock_of_another_run_at_the_old_path_stays(tmp_path):
    (tmp_path / "run").mkdir()
    first = RunLock(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "moved")
    (tmp_path / "run").mkdir()
    second = RunLock(tmp_path / "run")
    first.release()
    assert second.is_in_place()
    second.release()

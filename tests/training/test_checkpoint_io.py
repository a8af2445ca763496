"""Checkpoints are whole or not there."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple

import pytest
import torch

from visionkit.errors import UserError
from visionkit.training.checkpoint_io import SafeCheckpointIO, tensor_bytes

STATE = {"state_dict": {"w": torch.arange(6.0)}, "epoch": 3, "optimizer_states": [{"m": [torch.zeros(2)]}]}


def test_a_checkpoint_is_written_beside_its_target_and_never_through_the_folder_of_temporary_files(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "mkstemp", lambda *_, **__: pytest.fail("a file in TMPDIR"))
    moved = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (moved.append((os.path.dirname(a), b)), replace(a, b)))
    file = tmp_path / "checkpoints" / "last.ckpt"
    SafeCheckpointIO().save_checkpoint(STATE, file)
    assert moved == [(str(tmp_path / "checkpoints"), file)]
    assert torch.equal(SafeCheckpointIO().load_checkpoint(file)["state_dict"]["w"], STATE["state_dict"]["w"])
    assert os.listdir(file.parent) == ["last.ckpt"]


def test_file_and_folder_are_flushed_before_and_after_the_move(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda number: (done.append(os.path.isdir(f"/proc/self/fd/{number}")), fsync(number))
    )
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("moved"), replace(a, b)))
    SafeCheckpointIO().save_checkpoint(STATE, tmp_path / "last.ckpt")
    assert done == [False, "moved", True]


def test_room_is_compared_before_a_write_and_the_old_file_stays(tmp_path, monkeypatch):
    file = tmp_path / "last.ckpt"
    SafeCheckpointIO().save_checkpoint(STATE, file)
    before = file.read_bytes()
    usage = namedtuple("usage", "total used free")(0, 0, 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"no room for '.*last.ckpt': it takes 8.0 MiB, and 1.0 MiB are free there"):
        SafeCheckpointIO().save_checkpoint({"w": torch.zeros(2**21)}, file)
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["last.ckpt"]


FULL = """
import resource, signal, sys, torch
from visionkit.training.checkpoint_io import SafeCheckpointIO
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
try:
    SafeCheckpointIO().save_checkpoint({"w": torch.zeros(2**16)}, sys.argv[1])
except OSError as error:
    print(error.filename)
"""


@pytest.mark.slow
def test_a_write_that_fails_half_way_leaves_the_old_file_and_names_it(tmp_path):
    file = tmp_path / "last.ckpt"
    SafeCheckpointIO().save_checkpoint(STATE, file)
    before = file.read_bytes()
    done = subprocess.run([sys.executable, "-c", FULL, str(file)], capture_output=True, text=True)
    assert done.stdout.strip() == str(file), done.stderr
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["last.ckpt"]


def test_tensors_are_counted_at_any_depth():
    assert tensor_bytes(STATE) == 6 * 4 + 2 * 4


def test_what_was_read_of_a_file_is_handed_over_once_and_for_that_file_alone(tmp_path):
    io, file, other = SafeCheckpointIO(), tmp_path / "last.ckpt", tmp_path / "best.ckpt"
    for path in (file, other):
        io.save_checkpoint(STATE, path)
    io.provide(file, {"epoch": 7})
    assert io.load_checkpoint(other)["epoch"] == 3
    io.provide(file, {"epoch": 7})
    assert io.load_checkpoint(str(file)) == {"epoch": 7}
    assert io.load_checkpoint(file)["epoch"] == 3

"""What a command leaves in the folder of temporary files: nothing, and what a killed one has left goes too."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.paths import REPOSITORY
from visionkit.cli.temporary import _keep_compiled_code_elsewhere

USE = """
import os, signal, sys, tempfile
from visionkit.cli.temporary import remove_temporary_folder, use_temporary_folder
use_temporary_folder()
print(tempfile.gettempdir(), flush=True)
with tempfile.NamedTemporaryFile(delete=False):
    pass
"""


def _run(temporary, end, **environment):
    """The temporary folder of a process that ends so."""
    ended = subprocess.run(
        [sys.executable, "-c", USE + end], capture_output=True, text=True, check=False,
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(REPOSITORY), **environment},
    )  # fmt: skip
    assert ended.stderr == ""
    return Path(ended.stdout.strip())


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "remove_temporary_folder(); os._exit(0)"])
def test_a_command_has_a_temporary_folder_of_its_own_and_removes_it(tmp_path, end):
    folder = _run(tmp_path, end)
    assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_command_has_left_goes_with_the_next(tmp_path):
    left = _run(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert len([path for path in left.iterdir() if not path.name.startswith(".")]) == 1
    _run(tmp_path, "")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_command_has_left_goes_at_the_end_of_the_next_if_its_workers_have_outlived_it(tmp_path):
    fork = "if os.fork(): os.kill(os.getpid(), signal.SIGKILL)\nos.close(1); os.close(2); os.read(0, 1)"
    worker_end, write_end = os.pipe()
    killed = subprocess.Popen(
        [sys.executable, "-c", USE + fork], stdin=worker_end, stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    left = Path(killed.communicate(timeout=60)[0].decode().strip())
    os.close(worker_end)
    next_one = subprocess.Popen(
        [sys.executable, "-c", USE + "sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    own = Path(next_one.stdout.readline().strip())
    assert sorted(tmp_path.iterdir()) == sorted([left, own])
    os.close(write_end)
    time.sleep(0.5)
    next_one.communicate("", timeout=60)
    assert list(tmp_path.iterdir()) == []


def test_what_a_person_has_called_visionkit_stays(tmp_path):
    (tmp_path / "visionkit-file").touch()
    (tmp_path / "visionkit-run1").mkdir()
    (tmp_path / "visionkit-run1" / "metrics.json").write_text("{}")
    (tmp_path / "visionkit-a1b2c3d4").mkdir()
    (tmp_path / "visionkit-link").symlink_to(tmp_path / "visionkit-run1")
    _run(tmp_path, "")
    names = ["visionkit-a1b2c3d4", "visionkit-file", "visionkit-link", "visionkit-run1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert (tmp_path / "visionkit-run1" / "metrics.json").read_text() == "{}"


def test_an_empty_folder_that_a_killed_command_had_not_locked_yet_goes_after_a_while(tmp_path):
    for name, age in ((".visionkit-old", 3600), (".visionkit-new", 0)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    _run(tmp_path, "")
    assert [path.name for path in tmp_path.iterdir()] == [".visionkit-new"]


def test_the_folder_of_a_command_that_runs_stays(tmp_path):
    running = subprocess.Popen(
        [sys.executable, "-c", USE + "sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    folder = Path(running.stdout.readline().strip())
    _run(tmp_path, "")
    assert list(tmp_path.iterdir()) == [folder]
    running.communicate("", timeout=60)
    assert not folder.exists()


def test_compiled_code_lies_beside_downloaded_weights_unless_the_user_says_where(tmp_path, monkeypatch):
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    _keep_compiled_code_elsewhere()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "torch" / "inductor")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "mine")
    _keep_compiled_code_elsewhere()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "mine"

"""What a process of a run takes for its own fault, and when it does not begin."""

import os
import subprocess
import sys

import pytest
import torch
from torch import distributed

from tests.helpers.process_group import run_in_group
from visionkit.distributed.comm import all_reduce_sum
from visionkit.distributed.launch import LAUNCHER, WORKER_FILES
from visionkit.training.worker import _caused_elsewhere


def _call(rank, how):
    """What the first process makes of the second one's leaving."""
    if rank:
        return None
    layer = torch.nn.Linear(2, 2)
    try:
        if how == "total":
            all_reduce_sum([1])
        elif how == "gather":
            distributed.gather_object(1, [None, None])
        else:
            torch.nn.parallel.DistributedDataParallel(layer)
    except Exception as error:
        return _caused_elsewhere(error)


@pytest.mark.parametrize("how", ["total", "gather", "ddp"])
def test_a_process_that_has_gone_is_no_fault_of_this_one(tmp_path, how):
    assert run_in_group(2, _call, how, folder=tmp_path) == [True, None]


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("my gloo is gone: [/gloo/transport/tcp] Connection closed"),
        ConnectionError("Connection closed by peer"),
        ValueError("NCCL"),
    ],
)
def test_an_error_that_only_mentions_another_process_keeps_its_words(error):
    with pytest.raises(type(error)) as caught:
        raise error
    assert not _caused_elsewhere(caught.value)


def test_an_error_of_torch_itself_keeps_its_words():
    with pytest.raises(RuntimeError) as caught:
        torch.nn.Linear(2, 2)(torch.zeros(1, 3))
    assert not _caused_elsewhere(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process cannot ask to end with its parent")
def test_a_worker_whose_launcher_has_gone_ends_at_once(tmp_path):
    environment = {**os.environ, WORKER_FILES: str(tmp_path), LAUNCHER: "1", "RANK": "0"}
    command = [sys.executable, "-m", "visionkit.training.worker"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert list(tmp_path.iterdir()) == []

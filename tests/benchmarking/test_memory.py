"""What is said of a process that ends by a fault while memory is measured."""

import pytest

from visionkit.benchmarking import memory
from visionkit.benchmarking.networks import NetworkSpec

TASK = memory.MemoryTask(NetworkSpec("net", {}), "eager", None, 1, {1: (None, None)})


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("raise MemoryError('no room')", "MemoryError: no room"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "killed by SIGKILL, perhaps for want of memory",
        ),
        ("raise SystemExit(3)", "the process ended with code 3"),
    ],
)
def test_a_process_that_fails_says_why(monkeypatch, program, reason):
    monkeypatch.setattr(memory, "_PROGRAM", program)
    with pytest.raises(ChildProcessError, match=reason):
        memory.measure_memory(TASK)


def test_what_a_process_prints_last_is_read(monkeypatch):
    monkeypatch.setattr(memory, "_PROGRAM", "print('a word'); print('{\"1\": 5.0}')")
    assert memory.measure_memory(TASK) == {1: 5.0}

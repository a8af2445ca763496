"""What processes inherit, and what is said where machines cannot meet."""

import os
import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest
from torch.distributed import DistNetworkError

from tests.helpers.tiny_training import HARDWARE
from visionkit.distributed import launch
from visionkit.distributed.processes import Processes
from visionkit.errors import ProcessError


def _threads(tmp_path, number):
    with launch._worker_environment(tmp_path, Processes("cpu", per_node=number)):
        return os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]


@pytest.mark.parametrize(("told", "number", "each"), [("6", 2, "3"), ("1", 2, "1"), ("3", 2, "1"), ("", 4, "2")])
def test_processes_share_the_threads_that_their_launcher_may_have(monkeypatch, tmp_path, told, number, each):
    """A seat of a sweep has its own share of the machine's eight cores."""
    monkeypatch.setattr("visionkit.distributed.devices.available_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    monkeypatch.setenv("MKL_NUM_THREADS", "8")
    assert _threads(tmp_path, number) == (each, each)
    assert (os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]) == (told, "8")


@pytest.mark.parametrize(("port", "other"), [(29500, 29501), (65534, 65535), (65535, 65534)])
def test_the_port_that_is_proposed_exists(port, other):
    hardware = replace(HARDWARE, num_nodes=2, rendezvous=f"a.b:{port}")
    error = launch._explain_rendezvous(DistNetworkError("EADDRINUSE"), hardware)
    assert f"port {port} of 'a.b' is in use already" in str(error)
    assert str(error).endswith(f"Try: hardware.rendezvous=a.b:{other}")


def test_a_signal_goes_to_the_workers_once_they_are_all_there(tmp_path):
    got = []
    before = signal.getsignal(signal.SIGTERM)
    with launch._SignalForwarder(tmp_path, 1) as forwarding:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert not forwarding.forwarded
        (tmp_path / "pid-77").touch()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(launch.os, "kill", lambda *what: got.append(what))
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGUSR1)  # a warning counts once, however many pass it on
        assert launch.ExitCode.of_signal(forwarding.forwarded) == 143
    assert got == [(77, signal.SIGINT)]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("text", ["the disk is full", None])
def test_whatever_ends_workers_that_were_asked_to_stop_is_said_and_the_run_was_interrupted(
    monkeypatch, tmp_path, capsys, text
):
    monkeypatch.setenv(launch.WORKER_FILES, str(tmp_path))
    monkeypatch.setenv("RANK", "1")
    if text is not None:
        launch.report_error(2, text)
    failures = {0: SimpleNamespace(exitcode=1, local_rank=0), 1: SimpleNamespace(exitcode=2, local_rank=1)}
    assert launch._raise_first_failure(failures, tmp_path, signum=2) == 130
    assert capsys.readouterr().err == (f"{text}\n" if text else "")


def test_what_ended_a_worker_is_raised_with_its_code_all_its_words_and_a_line_of_them(monkeypatch, tmp_path):
    monkeypatch.setenv(launch.WORKER_FILES, str(tmp_path))
    monkeypatch.setenv("RANK", "1")
    launch.report_error(1, "Traceback\nValueError: no\n", reason="ValueError: no")
    failures = {0: SimpleNamespace(exitcode=-signal.SIGTERM, local_rank=0)}
    with pytest.raises(ProcessError, match=r"^Traceback\nValueError: no$") as caught:
        launch._raise_first_failure(failures, tmp_path, signum=0)
    assert (caught.value.code, caught.value.reason) == (1, "ValueError: no")


def test_a_worker_that_was_killed_is_told_from_those_that_were_stopped_after_it(tmp_path):
    failures = {n: SimpleNamespace(exitcode=-number, local_rank=n) for n, number in enumerate((15, 9))}
    with pytest.raises(ProcessError, match=r"^visionkit: process 1 of the run was ended by SIGKILL") as caught:
        launch._raise_first_failure(failures, tmp_path, signum=0)
    assert caught.value.code == 137
    assert caught.value.reason.startswith("process 1 of the run was ended by SIGKILL, which the system does where")

"""Several processes agree when to stop and when to save."""

import os
import signal
import time
from types import SimpleNamespace

import pytest
from torch import nn

from tests.helpers.process_group import run_in_group
from visionkit.errors import ExitCode
from visionkit.settings import SaveInterval
from visionkit.tasks.averaging import AveragedTraining
from visionkit.training.callbacks import interrupt as module
from visionkit.training.callbacks.interrupt import Interrupt, Interrupted


def _steps(rank, seconds, asked_at, folder):
    """The step after which this process stops, and how often it has looked at the others."""
    looks = []
    total = module.all_reduce_sum
    module.all_reduce_sum = lambda numbers: looks.append(1) or total(numbers)
    interrupt = Interrupt(folder / "last.ckpt", lambda line: None)
    trainer = SimpleNamespace(
        current_epoch=0, is_last_batch=False, accumulate_grad_batches=1, save_checkpoint=lambda path: None
    )
    task = SimpleNamespace(model=nn.Linear(1, 1), rate=0.1, initial={}, average=AveragedTraining(None))
    interrupt.on_train_start(trainer, task)
    try:
        for step in range(1000):
            time.sleep(seconds * (1 + rank))
            if rank == 1 and step == asked_at:
                interrupt._handle(2, None)
            interrupt.on_train_batch_end(trainer, task, None, None, step)
    except Interrupted as stop:
        return step, len(looks), stop.saved and stop.all_processes


def test_processes_stop_after_the_same_batch_and_seldom_ask_where_batches_are_short(tmp_path):
    first, second = run_in_group(2, _steps, 0.001, 90, tmp_path, folder=tmp_path)
    assert first == second
    step, looks, whole = first
    assert 90 <= step < 90 + module.MAX_STEPS_BETWEEN_SYNCS
    assert looks <= 12
    assert whole


def test_processes_stop_after_the_batch_where_batches_are_long(tmp_path):
    first, second = run_in_group(2, _steps, 0.2, 4, tmp_path, folder=tmp_path)
    assert first == second == (4, 5, True)


def _saves(rank, seconds, folder):
    """The steps after which this process saves, of an epoch of 40 whose steps take 10 milliseconds or more."""
    saved, checked = [], []
    interrupt = Interrupt(
        folder / "last.ckpt", lambda line: None, every=SaveInterval(seconds), check_folder=lambda: checked.append(rank)
    )
    trainer = SimpleNamespace(current_epoch=0, accumulate_grad_batches=2, global_step=0)
    task = SimpleNamespace(model=nn.Linear(1, 1), rate=0.1, initial={}, average=AveragedTraining(None))
    trainer.save_checkpoint = lambda path: saved.append(step)
    interrupt.on_train_start(trainer, task)
    interrupt.on_train_epoch_start(trainer, task)
    for step in range(40):
        time.sleep(0.01 * (1 + rank))
        trainer.is_last_batch = step == 39
        if rank == 1:
            interrupt._last_save = -1e9  # its own clock would save all the time
        interrupt.on_train_batch_end(trainer, task, None, None, step)
    return saved, checked


def test_processes_save_after_the_same_steps_by_the_clock_of_the_first(tmp_path):
    (first, checks), (second, none) = run_in_group(2, _saves, 0.1, tmp_path, folder=tmp_path)
    assert first == second
    assert 1 <= len(first) <= 8
    assert all(step % 2 and step < 39 for step in first)  # not between accumulated batches, not after the last one
    assert (checks, none) == ([0] * len(first), [])


@pytest.mark.parametrize(("is_worker", "heeded"), [(False, True), (True, False)])
def test_the_warning_of_slurm_stops_as_sigterm_and_counts_once(tmp_path, is_worker, heeded):
    """A worker of the launcher's leaves it to the launching process, which passes it on."""
    said = []
    interrupt = Interrupt(tmp_path / "last.ckpt", said.append, is_worker=is_worker)
    task = SimpleNamespace(model=nn.Linear(1, 1), rate=0.1, initial={}, average=AveragedTraining(None))
    trainer = SimpleNamespace(
        current_epoch=0, is_last_batch=False, accumulate_grad_batches=1, global_step=1, save_checkpoint=lambda path: 0
    )
    with interrupt:
        interrupt.on_train_start(trainer, task)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGUSR1)
        assert (interrupt.requested, len(said)) == (heeded, int(heeded))
        if heeded:
            with pytest.raises(Interrupted) as stop:
                interrupt.on_train_batch_end(trainer, task, None, None, 0)
            assert (stop.value.saved, ExitCode.of_signal(stop.value.signal)) == (True, 143)

"""Several processes agree to stop."""

import time
from types import SimpleNamespace

from torch import nn

from tests.helpers.process_group import run_in_group
from visionkit.tasks.averaging import AveragedTraining
from visionkit.training.callbacks import interrupt as module
from visionkit.training.callbacks.interrupt import Interrupt, Interrupted


def _steps(rank, seconds, asked_at, folder):
    """The step after which this process stops, and how often it has looked at the others."""
    looks = []
    total = module.all_reduce_sum
    module.all_reduce_sum = lambda numbers: looks.append(1) or total(numbers)
    interrupt = Interrupt(folder / "last.ckpt", lambda line: None)
    trainer = SimpleNamespace(current_epoch=0, is_last_batch=False, accumulate_grad_batches=1, save_checkpoint=lambda path: None)
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

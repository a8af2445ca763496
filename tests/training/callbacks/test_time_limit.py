"""A training ends when its time is over."""

import itertools
import time
from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from tests.helpers.process_group import run_in_group
from tests.helpers.tiny_training import Fitted
from visionkit.errors import UserError
from visionkit.tasks.averaging import AveragedTraining
from visionkit.training.callbacks.interrupt import Interrupt
from visionkit.training.callbacks.time_limit import TimeIsUp, TimeLimit
from visionkit.training.resume import check_resumable


def _fitted(path, seconds, **changes):
    """A training of the tiny model, of six batches an epoch, whose clock goes on by a second at each look."""
    fitted = Fitted(path, max_time=seconds, **changes)
    clock = itertools.count()
    fitted.limit._clock = lambda: float(next(clock))
    return fitted.fit()


def test_the_epoch_that_is_cut_is_validated_and_recorded(tmp_path):
    fitted = _fitted(tmp_path, 9)
    assert fitted.limit.stopped.epoch == 2
    assert fitted.limit.stopped.is_within_epoch
    last = fitted.recorder.history[-1]
    assert last["epoch"] == 2
    assert 6 < last["step"] < 12
    assert last["step"] == 6 + fitted.limit.stopped.num_batches
    assert 0 <= last["val/accuracy"] <= 1


def test_the_checkpoint_is_that_of_the_place_in_the_epoch(tmp_path):
    fitted = _fitted(tmp_path, 9)
    checkpoint = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == fitted.trainer.global_step
    assert checkpoint["epoch_so_far"]["losses"]
    assert checkpoint["callbacks"]["TimeLimit"]["seconds"] >= 9


class _Scores(pl.Callback):
    """Gives the epochs the scores that are wanted."""

    def __init__(self, *scores):
        self.scores = iter(scores)

    def on_validation_end(self, trainer, task):
        task.scalars["val/accuracy"] = next(self.scores)


def test_the_best_epoch_before_a_cut_one_that_was_better_is_still_the_best_when_the_run_goes_on(tmp_path):
    best = tmp_path / "checkpoints" / "best.ckpt"
    cut = _fitted(tmp_path, 9, callbacks=(_Scores(0.9, 0.95),))
    assert cut.recorder.best_epoch == 2
    assert torch.load(best, weights_only=True)["epoch"] == 1
    resumed = _fitted(tmp_path, 1000, epochs=3, resume=True, callbacks=(_Scores(0.5, 0.6),))
    assert resumed.recorder.best_epoch == 1
    assert torch.load(best, weights_only=True)["epoch"] == 0
    assert not (tmp_path / "checkpoints" / "best_whole.ckpt").exists()


def test_time_before_going_back_counts(tmp_path):
    limit = TimeLimit(60, tmp_path / "last.ckpt", spent_before=50.0)
    limit._clock = lambda: 0.0
    assert limit.spent == 50.0
    limit.load_state_dict({"seconds": 20.0})
    assert limit.spent == 50.0
    limit.load_state_dict({"seconds": 55.0})
    assert limit.spent == 55.0


def test_time_that_is_over_at_the_end_of_an_epoch_ends_the_training_there(tmp_path):
    fitted = _fitted(tmp_path, 6)
    assert fitted.limit.stopped == TimeIsUp(1, 6, 6)
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 6


def test_a_training_within_its_time_is_not_stopped(tmp_path):
    fitted = _fitted(tmp_path, 1000, epochs=1)
    assert fitted.limit.stopped is None
    assert fitted.trainer.global_step == 6


def test_steps_are_whole_where_gradients_are_accumulated(tmp_path):
    fitted = _fitted(tmp_path, 2, accumulate=2)
    assert fitted.limit.stopped.num_batches % 2 == 0


def test_the_time_before_counts_in_a_run_that_goes_on(tmp_path):
    spent = torch.load(_fitted(tmp_path, 9).folder.last_checkpoint, weights_only=True)["callbacks"]["TimeLimit"][
        "seconds"
    ]
    resumed = _fitted(tmp_path, 1000, epochs=2, resume=True)
    assert resumed.limit._spent_before == spent
    assert [row["epoch"] for row in resumed.recorder.history] == [1, 2]


def test_a_run_whose_time_is_over_is_not_resumed(tmp_path):
    fitted = Fitted(tmp_path, epochs=1).fit()
    rows = fitted.folder.history_file.read_text().splitlines()
    columns = rows[0].split(",")
    cells = rows[1].split(",")
    cells[columns.index("seconds")] = "90.0"
    fitted.folder.history_file.write_text("\n".join([rows[0], ",".join(cells)]) + "\n")
    recipe = SimpleNamespace(epochs=3, max_time=60)
    with pytest.raises(
        UserError, match=r"recipe\.max_time: found 1m, but .* has trained for 1m30s, which counts"
    ) as info:
        check_resumable(SimpleNamespace(recipe=recipe), fitted.folder)
    assert "Try: recipe.max_time=2m30s" in str(info.value)


def _stopped_at(rank, folder):
    """The step after which this process stops; only the first one's clock has a limit that is ever reached."""
    limit = TimeLimit(0.1 if rank == 0 else 1000.0, folder / "last.ckpt")
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=SimpleNamespace(current=SimpleNamespace(ready=0))))
    trainer = SimpleNamespace(
        current_epoch=0, is_last_batch=False, save_checkpoint=lambda path: None, accumulate_grad_batches=1,
        fit_loop=loop, num_training_batches=1000,
    )  # fmt: skip
    task = SimpleNamespace(model=nn.Linear(1, 1), rate=0.1, initial={}, average=AveragedTraining(None))
    interrupt = Interrupt(folder / "last.ckpt", lambda line: None, time_limit=limit)
    interrupt.on_train_start(trainer, task)
    limit.on_train_start(trainer, task)
    for step in range(1000):
        time.sleep(0.001 * (1 + rank))
        interrupt.on_train_batch_end(trainer, task, None, None, step)
        if limit.stopped is not None:
            return step
    return None


def test_processes_stop_after_the_same_batch_by_the_first_clock(tmp_path):
    first, second = run_in_group(2, _stopped_at, tmp_path, folder=tmp_path)
    assert first == second
    assert first > 10

"""Training through the Trainer: numbers, files, checkpoints, interruption, and what is not said."""

import csv
import io
import os
import re
import signal
import warnings
from dataclasses import replace

import lightning.pytorch as pl
import pytest
import torch
from rich.console import Console
from torch import nn

from tests.helpers.tiny_training import HARDWARE, Batches, Fitted, TinyModel, recipe
from visionkit.console import Printer
from visionkit.settings import EarlyStopping
from visionkit.training.callbacks.interrupt import Interrupted
from visionkit.training.optimizers import make_optimizer
from visionkit.training.schedules import make_schedule
from visionkit.training.trainer import seed


class Watch(pl.Callback):
    """Notes the learning rate of each step, and does something after one of them."""

    def __init__(self, step=None, act=None):
        self.rates, self.step, self.act = [], step, act

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.rates.append(optimizer.param_groups[0]["lr"])

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if self.act is not None and trainer.global_step == self.step:
            self.act()


def _load(path):
    return torch.load(path, weights_only=True)


def _by_hand(epochs, *, clip=None, accumulate=1):
    """The same training as a plain loop."""
    seed(0)
    settings = recipe(epochs=epochs)
    model = TinyModel()
    optimizer = make_optimizer(model, settings=settings.optimizer, lr=settings.lr)
    factor = make_schedule(settings)
    batches = list(Batches(48))
    total, step, losses = epochs * len(batches) // accumulate, 0, []
    for _ in range(epochs):
        for index, batch in enumerate(batches):
            loss = model.loss(model(batch["images"]), batch)["loss"]
            losses.append(loss.item())
            (loss / accumulate).backward()
            if (index + 1) % accumulate == 0:
                if clip is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), clip)
                for group in optimizer.param_groups:
                    group["lr"] = settings.lr * factor(step, total)
                optimizer.step()
                optimizer.zero_grad()
                step += 1
    return model, losses


@pytest.mark.parametrize(("clip", "accumulate"), [(None, 1), (0.05, 1), (None, 2), (0.05, 3)])
def test_training_equals_a_loop_by_hand(tmp_path, clip, accumulate):
    fitted = Fitted(tmp_path, clip_norm=clip, accumulate=accumulate).fit()
    model, losses = _by_hand(3, clip=clip, accumulate=accumulate)
    # float32, the same operations in the same order
    torch.testing.assert_close(fitted.task.model.state_dict(), model.state_dict(), rtol=1e-5, atol=1e-6)
    epochs = [sum(losses[start : start + 6]) / 6 for start in (0, 6, 12)]
    assert [row["train/loss"] for row in fitted.recorder.history] == pytest.approx(epochs, rel=1e-5)


def test_the_learning_rate_follows_the_schedule_step_by_step(tmp_path):
    watch = Watch()
    fitted = Fitted(tmp_path, callbacks=(watch,)).fit()
    assert watch.rates == pytest.approx([0.1 * fitted.task.learning_rate.schedule_fn(step, 18) for step in range(18)])


def test_an_epoch_is_a_row_with_both_splits(tmp_path):
    fitted = Fitted(tmp_path).fit()
    with fitted.folder.history_file.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert set(rows[0]) >= {"step", "lr", "train/loss", "train/accuracy", "val/loss", "val/accuracy", "val/f1_macro"}
    images, labels = Batches(24, start=1).images, Batches(24, start=1).labels
    right = (fitted.task.model(images)["logits"].argmax(1) == labels).float().mean().item()
    assert float(rows[-1]["val/accuracy"]) == pytest.approx(right)
    assert 0 <= float(rows[-1]["data_wait"]) <= 1
    assert float(rows[-1]["images_per_second"]) > 0


def test_checkpoints_are_data_alone_and_hold_plain_hyper_parameters(tmp_path):
    fitted = Fitted(tmp_path).fit()
    for path in (fitted.folder.best_checkpoint, fitted.folder.last_checkpoint):
        plain = _load(path)["hyper_parameters"]
        assert plain == {"seed": 0, "recipe": {"epochs": 3, "betas": [0.9, 0.99], "ema": None}}
        assert type(plain) is dict


def test_the_best_checkpoint_is_the_epoch_with_the_best_validation_accuracy(tmp_path):
    fitted = Fitted(tmp_path, epochs=5, lr=0.3).fit()
    scores = [row["val/accuracy"] for row in fitted.recorder.history]
    assert fitted.recorder.best_epoch == scores.index(max(scores)) + 1
    assert _load(fitted.folder.best_checkpoint)["epoch"] == fitted.recorder.best_epoch - 1
    assert _load(fitted.folder.last_checkpoint)["epoch"] == 4


def test_nothing_but_the_run_folder_is_written(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Fitted(tmp_path / "run").fit()
    assert list((tmp_path / "here").iterdir()) == []
    assert sorted(path.name for path in (tmp_path / "run").rglob("*") if path.is_file()) == [
        "best.ckpt", "last.ckpt", "metrics.csv",
    ]  # fmt: skip


def test_away_from_a_terminal_an_epoch_is_one_plain_line_and_lightning_is_silent(tmp_path, capfd):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Fitted(tmp_path).fit()
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert len(lines) == 3
    assert re.match(
        r"epoch 1/3  loss \d\.\d{4}  val/accuracy \d\.\d{4}\*  [\d,]+ images/s  waits for data +\d+%", lines[0]
    )
    assert err == ""
    assert [str(w.message) for w in caught if "lightning" in str(w.filename)] == []


def test_on_a_terminal_a_bar_shows_loss_speed_and_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr("visionkit.training.callbacks.progress.UPDATE_SECONDS", 0.0)
    screen = io.StringIO()
    Fitted(tmp_path, printer=Printer(console=Console(file=screen, force_terminal=True, width=120))).fit()
    assert re.search(r"loss \d\.\d{4}  [\d,]+ images/s  waits for data \d+%", screen.getvalue())
    assert "validation" in screen.getvalue()
    assert "epoch 3/3" in screen.getvalue()


def test_early_stopping_ends_a_run_that_no_longer_improves(tmp_path):
    model = TinyModel()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    model.idle = nn.Parameter(torch.zeros(1))
    plain_loss = model.loss
    model.loss = lambda o, t: {"loss": plain_loss(o, t)["loss"] + 0 * model.idle.sum()}
    fitted = Fitted(tmp_path, model=model, epochs=9, early_stopping=EarlyStopping(patience=2)).fit()
    assert len(fitted.recorder.history) == 3
    _load(fitted.folder.last_checkpoint)


def test_early_stopping_waits_where_an_epoch_has_no_score(tmp_path):
    fitted = Fitted(tmp_path, early_stopping=EarlyStopping(patience=1))
    fitted.task.metrics["val"].scalars = dict
    assert len(fitted.fit().recorder.history) == 3


def test_bf16_trains_on_the_cpu(tmp_path):
    fitted = Fitted(tmp_path, hardware=replace(HARDWARE, precision="bf16")).fit()
    assert fitted.task.model.linear.weight.dtype == torch.float32
    assert fitted.recorder.history[-1]["train/loss"] < fitted.recorder.history[0]["train/loss"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_stops_after_the_batch_and_saves_it(tmp_path, number, capsys):
    watch = Watch(8, lambda: os.kill(os.getpid(), number))
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as stop:
        Fitted(tmp_path, callbacks=(watch,)).fit()
    assert (stop.value.saved, stop.value.signal) == (True, number)
    assert signal.getsignal(number) is before
    # the signal came after the look at batch 8
    assert _load(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 9
    assert "Stopping after this batch; once more stops at once." in capsys.readouterr().out


def test_a_second_signal_stops_at_once(tmp_path):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted) as stop:
        Fitted(tmp_path, callbacks=(Watch(8, twice),)).fit()
    assert not stop.value.saved
    assert _load(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 6


@pytest.mark.parametrize("step", [6, 8])
def test_an_interrupted_run_goes_on_to_the_same_number_of_steps(tmp_path, step):
    with pytest.raises(Interrupted):
        Fitted(tmp_path, callbacks=(Watch(step, lambda: os.kill(os.getpid(), signal.SIGINT)),)).fit()
    resumed = Fitted(tmp_path, resume=True).fit()
    assert resumed.trainer.global_step == 18
    assert [row["epoch"] for row in resumed.recorder.history] == [1, 2, 3]


class _StopInValidation(pl.Callback):
    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, *_args):
        if trainer.current_epoch == 1 and batch_idx == 0:
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interruption_in_validation_loses_no_training(tmp_path, capsys):
    with pytest.raises(Interrupted) as stop:
        Fitted(tmp_path, callbacks=(_StopInValidation(),)).fit()
    assert stop.value.saved
    assert "Stopping after this validation; once more" in capsys.readouterr().out
    assert _load(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 12
    resumed = Fitted(tmp_path, resume=True).fit()
    assert resumed.trainer.global_step == 18
    assert [row["epoch"] for row in resumed.recorder.history] == [1, 2, 3]
    assert all(row["val/accuracy"] == row["val/accuracy"] for row in resumed.recorder.history)
    assert all(row["train/loss"] == row["train/loss"] for row in resumed.recorder.history)


def test_a_finished_run_that_is_continued_keeps_its_best(tmp_path):
    first = Fitted(tmp_path, epochs=2).fit()
    best = first.recorder.best_score
    resumed = Fitted(tmp_path, epochs=4, resume=True).fit()
    assert resumed.recorder.best_score >= best
    assert len(resumed.recorder.history) == 4


def test_a_step_that_nobody_profiles_makes_no_context_for_each_hook(tmp_path):
    """Lightning still knows which hook runs, for what a callback logs."""
    hooks = []
    fitted = Fitted(tmp_path, epochs=1)
    watch = Watch(2, lambda: hooks.append(fitted.task._current_fx_name))
    fitted.trainer.callbacks.append(watch)
    fitted.fit()
    profile = fitted.trainer.profiler.profile
    assert profile("a") is profile("b")
    assert hooks == ["on_train_batch_end"]

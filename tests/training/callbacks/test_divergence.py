"""A loss that is no number ends the run and names the images of its batch."""

from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
import torch

from tests.helpers.late_event import LateEvent
from tests.helpers.tiny_training import Batches, Fitted, TinyModel
from visionkit.errors import UserError
from visionkit.training.callbacks import divergence
from visionkit.training.callbacks.divergence import StopOnDivergence
from visionkit.training.trainer import quiet


class _Breaking(TinyModel):
    """Its loss turns into something else at one step."""

    def __init__(self, step, value):
        super().__init__()
        self.step, self.value, self.steps = step, value, 0

    def loss(self, outputs, targets):
        losses = super().loss(outputs, targets)
        self.steps += self.training
        return {"loss": losses["loss"] * (self.value if self.training and self.steps == self.step else 1.0)}


class _Photos(pl.LightningDataModule):
    """Batches that say which images they hold, and what these are called."""

    def train_dataloader(self):
        return self

    def val_dataloader(self):
        return Batches(24, start=1)

    def __len__(self):
        return len(Batches(48))

    def __iter__(self):
        for number, batch in enumerate(Batches(48)):
            yield {**batch, "index": torch.arange(number * 8, number * 8 + len(batch["images"]))}

    def dataset(self, split):
        return SimpleNamespace(name=lambda number: f"{split}/{number}.jpg")


@pytest.mark.parametrize(("value", "found"), [(float("nan"), "nan"), (float("inf"), "inf")])
def test_the_step_and_a_way_out_are_named(tmp_path, value, found):
    """The way out is a tenth of what was typed, wherever in its schedule the run was."""
    fitted = Fitted(tmp_path, model=_Breaking(8, value))
    message = rf"the loss is {found} in epoch 2 \(step 8, learning rate .*\. Expected a finite number\. Try a smaller"
    with pytest.raises(UserError, match=message + r" rate \(recipe\.lr=0\.01\), or .* \(recipe\.clip_norm=1\.0\)"):
        fitted.fit()
    assert fitted.trainer.global_step == 7  # the step has not been made


def _fit_photos(fitted):
    with quiet():
        fitted.trainer.fit(fitted.task, datamodule=_Photos())


def test_the_images_of_the_batch_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(divergence, "MAX_NAMED_FILES", 2)
    with pytest.raises(UserError, match=r"with the images train/16\.jpg, train/17\.jpg and 6 more\. Expected"):
        _fit_photos(Fitted(tmp_path, model=_Breaking(3, float("nan"))))


@pytest.mark.parametrize(("step", "late", "stopped"), [(2, 3, 4), (5, 100, 6)])
def test_a_loss_that_arrives_later_names_its_own_step_and_images(tmp_path, monkeypatch, step, late, stopped):
    """As on a GPU: nobody waits within an epoch, and the end of the epoch waits for all."""
    monkeypatch.setattr(divergence, "copy_to_cpu", lambda loss: (loss.clone(), LateEvent(late if loss.isnan() else 0)))
    fitted = Fitted(tmp_path, model=_Breaking(step, float("nan")))
    with pytest.raises(UserError, match=rf"\(step {step}, .*train/{step * 8 - 8}\.jpg") as error:
        _fit_photos(fitted)
    assert f"train/{step * 8}.jpg" not in str(error.value)
    assert fitted.trainer.global_step == stopped


def test_nothing_is_kept_of_losses_that_are_finite(tmp_path):
    watch = StopOnDivergence()
    Fitted(tmp_path, divergence=watch).fit()
    assert not watch._pending


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_loss_on_a_gpu_is_fetched_without_waiting():
    torch.cuda.set_sync_debug_mode("error")
    try:
        loss, arrived = divergence.copy_to_cpu(torch.full((), 3.0).cuda(non_blocking=True))
        arrived.query()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    arrived.synchronize()
    assert (loss.item(), loss.device.type) == (3.0, "cpu")

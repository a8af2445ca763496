"""What the recorder of epochs refuses to record."""

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from tests.helpers.tiny_training import Fitted, TinyModel
from visionkit.errors import UserError
from visionkit.training.callbacks.recorder import check_all_epochs


class Stops(pl.Callback):
    """Raises StopIteration in a hook, the second time that it is called."""

    def __init__(self, hook):
        self.calls = 0
        setattr(self, hook, self._stop)

    def _stop(self, *_):
        self.calls += 1
        if self.calls == 2:
            raise StopIteration


class StoppingLoss(TinyModel):
    """Its loss stops in the evaluation of the second epoch."""

    def loss(self, outputs, targets):
        if not torch.is_grad_enabled():
            self.calls = getattr(self, "calls", 0) + 1
            if self.calls == 5:
                raise StopIteration
        return {"loss": nn.functional.cross_entropy(outputs["logits"], targets["label"])}


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ("on_train_batch_start", "epoch 1 ended after 1 of 6 batches"),
        ("on_train_batch_end", "epoch 1 ended after 1 of 6 batches"),
        ("on_validation_batch_start", "val ended after 1 of 3 batches"),
        ("on_validation_batch_end", "val ended after 1 of 3 batches"),
        ("on_validation_epoch_end", "the validation of epoch 2 was cut short"),
    ],
)
def test_an_epoch_that_a_callback_cuts_short_is_an_error_and_is_not_recorded(hook, message, tmp_path):
    fitted = Fitted(tmp_path, callbacks=(Stops(hook),))
    with pytest.raises(UserError, match=f"{message}.*StopIteration"):
        fitted.fit()
    assert len(fitted.recorder.history) == (1 if "epoch 2" in message else 0)


def test_a_validation_that_a_loss_cuts_short_is_an_error(tmp_path):
    fitted = Fitted(tmp_path, model=StoppingLoss())
    with pytest.raises(UserError, match=r"val ended after 1 of 3 batches.*loss.*StopIteration"):
        fitted.fit()
    assert len(fitted.recorder.history) == 1


@pytest.mark.parametrize("hook", ["on_train_epoch_start", "on_train_epoch_end"])
def test_a_training_that_a_callback_cuts_short_is_an_error(hook, tmp_path):
    fitted = Fitted(tmp_path, callbacks=(Stops(hook),)).fit()
    with pytest.raises(UserError, match="the training ended after 1 of 3 epochs: a callback has raised StopIteration"):
        check_all_epochs(fitted.trainer)


class Ends(pl.Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        trainer.should_stop = True


def test_a_training_that_a_callback_ends_in_the_right_way_is_none(tmp_path):
    fitted = Fitted(tmp_path, callbacks=(Ends(),)).fit()
    check_all_epochs(fitted.trainer)
    assert len(fitted.recorder.history) == 1


def test_a_test_that_a_callback_cuts_short_is_an_error(tmp_path):
    fitted = Fitted(tmp_path, callbacks=(Stops("on_test_batch_end"),))
    with pytest.raises(UserError, match=r"test ended after 1 of 3 batches.*StopIteration"):
        fitted.trainer.test(fitted.task, dataloaders=fitted.val, verbose=False)


def test_a_task_is_trained_after_it_was_validated(tmp_path):
    fitted = Fitted(tmp_path)
    fitted.trainer.validate(fitted.task, dataloaders=fitted.val, verbose=False)
    assert len(fitted.fit().recorder.history) == 3

"""A training with averaged weights: what is validated, saved, tested and gone on from."""

import lightning.pytorch as pl
import pytest
import torch
from timm.utils import ModelEmaV3
from torch import nn

from tests.helpers.settings import hardware
from tests.helpers.tiny_training import Batches, Fitted, TinyModel
from visionkit.errors import UserError
from visionkit.runs.checkpoint import load_best
from visionkit.runs.checkpoint_file import check_state, read_checkpoint
from visionkit.settings import Ema
from visionkit.training.finite import check_checkpoint

EMA = Ema(decay=0.95, warmup=True)


class NormedModel(TinyModel):
    """With a batch norm, and dropout."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.linear = nn.Sequential(nn.Linear(36, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 3))


class Reference(pl.Callback):
    """Timm's average of the weights after each optimizer step; saves once within a validation."""

    def __init__(self, save=None):
        self.average, self.save = None, save

    def on_train_start(self, trainer, pl_module):
        self.average = ModelEmaV3(pl_module.model, decay=EMA.decay, use_warmup=True)
        self.updates = 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step > self.updates:
            self.updates = trainer.global_step
            self.average.update(pl_module.model, self.updates)

    def on_validation_end(self, trainer, pl_module):
        if self.save is not None and trainer.current_epoch == 1:
            trainer.save_checkpoint(self.save)


def _fit(path, *callbacks, **changes):
    return Fitted(path, **{"model": NormedModel(), "ema": EMA, "epochs": 2, **changes}, callbacks=callbacks)


def _equal(found, expected, **tolerances):
    assert list(found) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=tolerances.get("atol", 0))


@pytest.mark.parametrize("changes", [{}, {"accumulate": 2}, {"hardware": hardware(precision="bf16")}])
def test_checkpoints_hold_the_average_over_optimizer_steps_and_the_weights_of_a_training_without_one(tmp_path, changes):
    reference = Reference(save=tmp_path / "within.ckpt")
    fitted = _fit(tmp_path / "averaged", reference, **changes).fit()
    plain = _fit(tmp_path / "plain", ema=None, **changes).fit()
    steps = read_checkpoint(plain.folder.last_checkpoint)
    for file in (fitted.folder.last_checkpoint, tmp_path / "within.ckpt"):
        last = read_checkpoint(file)
        expected = reference.average.module.state_dict()
        _equal(last.weights, expected, atol=1e-6)
        _equal(last.in_training, {name: steps.weights[name] for name in last.in_training})
        assert set(steps.weights) - set(last.in_training) == {"linear.1.num_batches_tracked"}
    assert steps.in_training == {}
    model = NormedModel()
    best = load_best(model, fitted.folder)
    assert torch.equal(model.linear[0].weight, best.weights["linear.0.weight"])
    assert not torch.equal(best.weights["linear.0.weight"], best.in_training["linear.0.weight"])


def test_the_average_is_validated_and_is_the_model_after_the_training(tmp_path):
    fitted = _fit(tmp_path).fit()
    last = read_checkpoint(fitted.folder.last_checkpoint)
    _equal(fitted.task.model.state_dict(), last.weights)
    row = fitted.folder.read_history()[-1]
    for weights, is_same in ((last.weights, True), (last.in_training, False)):
        model = NormedModel().eval()
        model.load_state_dict({**last.weights, **weights})
        with torch.inference_mode():
            outputs = [(model(batch["images"])["logits"], batch["label"]) for batch in Batches(24, start=1)]
            logits, labels = (torch.cat(part) for part in zip(*outputs, strict=True))
        loss = float(nn.functional.cross_entropy(logits, labels))
        assert (abs(loss - row["val/loss"]) < 1e-6) == is_same


def test_a_checkpoint_in_which_the_average_and_the_weights_do_not_belong_together_is_refused(tmp_path):
    fitted = _fit(tmp_path, epochs=1).fit()
    plain = _fit(tmp_path / "plain", epochs=1, ema=None).fit()
    state = NormedModel().state_dict()
    content = torch.load(fitted.folder.last_checkpoint, weights_only=True)
    raw = content["weights_in_training"]
    without = {key: value for key, value in content.items() if key != "weights_in_training"}
    left_over = torch.load(plain.folder.last_checkpoint, weights_only=True) | {"weights_in_training": raw}
    wrong = {**raw, "model.linear.0.weight": torch.zeros(2)}
    file = tmp_path / "changed.ckpt"
    for changed, words in (
        (without, "it has no weights_in_training"),
        (left_over, "'weights_in_training' is left over"),
        ({**content, "weights_in_training": wrong}, "average of 'linear.0.weight' is none of its weights in training"),
        ({**content, "weights_in_training": {"model.linear.0.weight": "x"}}, "'linear.0.weight' is no plain tensor"),
    ):
        torch.save(changed, file)
        with pytest.raises(UserError, match=words):
            check_state(read_checkpoint(file, where="resume"), state)
    check_state(read_checkpoint(fitted.folder.last_checkpoint), state)


def test_an_average_or_weights_in_training_that_are_no_numbers_are_found(tmp_path, monkeypatch):
    fitted = _fit(tmp_path, epochs=1)
    averaged = fitted.task.average.averaged
    lost = {"linear.0.weight": torch.tensor([1.0, torch.inf])}
    monkeypatch.setattr(fitted.task.average, "averaged", lambda: averaged() and lost)
    with pytest.raises(UserError, match=r"training diverged: the average of linear.0.weight is not finite after"):
        fitted.fit()
    assert not fitted.folder.last_checkpoint.exists()
    whole = _fit(tmp_path, epochs=1).fit()
    content = torch.load(whole.folder.last_checkpoint, weights_only=True)
    content["weights_in_training"]["model.linear.0.bias"][1] = torch.nan
    torch.save(content, tmp_path / "lost.ckpt")
    with pytest.raises(UserError, match=r"lost.ckpt' are not finite, such as 'linear.0.bias'"):
        check_checkpoint(read_checkpoint(tmp_path / "lost.ckpt"), best=whole.folder.best_checkpoint)

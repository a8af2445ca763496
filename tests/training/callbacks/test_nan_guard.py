"""recipe.on_nan: a step that is left out changes nothing, and a run that goes back says so in its checkpoints."""

import json
import math

import pytest
import torch
from torch import nn

from tests.helpers.late_event import LateEvent
from tests.helpers.tiny_training import Batches, Fitted, TinyModel
from visionkit.cli.main import main
from visionkit.errors import UserError
from visionkit.settings import Adam, Ema, Muon, Sgd
from visionkit.training.callbacks import nan_guard
from visionkit.training.callbacks.divergence import StopOnDivergence
from visionkit.training.callbacks.nan_guard import RollBack, RollBackOnNan, SkipOnNan

SGD = Sgd(momentum=0.9, nesterov=True, weight_decay=1e-4)
MUON = Muon(
    weight_decay=1e-4, momentum=0.95, nesterov=True, ns_steps=5, adamw_lr=1e-3, betas=(0.9, 0.95), eps=1e-8
)  # fmt: skip
ADAM = Adam(weight_decay=1e-4, betas=(0.9, 0.99), eps=1e-8)


class _Normed(TinyModel):
    """Has running statistics, and a loss that is another one in some training passes, counted from 1."""

    def __init__(self, bad=(), value=math.nan):
        torch.manual_seed(0)
        super().__init__()
        self.norm = nn.BatchNorm1d(36, momentum=0.5)
        self.bad, self.value, self.passes = bad, value, 0

    def forward(self, images, image_sizes=None):
        return {"logits": self.linear(self.norm(images.flatten(1).float() / 255))}

    def loss(self, outputs, targets):
        self.passes += self.training
        loss = super().loss(outputs, targets)["loss"]
        return {"loss": loss + self.value if self.training and self.passes in self.bad else loss}


class _States(Batches):
    """Notes the state of a training before each of its batches."""

    def __init__(self, number):
        super().__init__(number)
        self.fitted, self.states = None, []

    def __iter__(self):
        for batch in super().__iter__():
            if self.fitted is not None:
                self.states.append(_state(self.fitted))
            yield batch


class _InfinitePixel(Batches):
    """Its third batch has a pixel that is infinite."""

    def __iter__(self):
        for number, batch in enumerate(super().__iter__()):
            images = batch["images"].float()
            if number == 2:
                images[5, 0, 1, 1] = math.inf
            yield {**batch, "images": images}


def _state(fitted):
    optimizer = fitted.trainer.optimizers[0].state_dict()["state"]
    moments = {f"{i}.{name}": value for i, each in optimizer.items() for name, value in each.items()}
    state = {**fitted.task.model.state_dict(), **moments}
    return {name: value.clone() for name, value in state.items() if isinstance(value, torch.Tensor)}


def _equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_step_that_is_left_out_changes_no_weight_moment_or_statistic(tmp_path, value):
    """The norm's statistics too, which the forward pass has changed before its loss was known."""
    batches, notes = _States(48), []
    fitted = Fitted(
        tmp_path, model=_Normed({4}, value), train=batches, epochs=1, divergence=SkipOnNan(announce=notes.append)
    )
    batches.fitted = fitted
    fitted.fit()
    before, after, later = batches.states[3:6]
    assert _equal(before, after)
    assert not _equal(after, later)
    assert len(notes) == 1
    assert f"the loss is {value} in epoch 1 (step 4" in notes[0]
    assert "left out (1 of 3 at most)" in notes[0]


def test_the_mean_loss_of_the_epoch_is_that_of_the_steps_that_were_made(tmp_path):
    losses = []

    class Seen(_Normed):
        def loss(self, outputs, targets):
            loss = super().loss(outputs, targets)["loss"]
            losses.append(float(loss.detach()))
            return {"loss": loss}

    fitted = Fitted(tmp_path, model=Seen({2}), epochs=1, divergence=SkipOnNan(announce=lambda note: None)).fit()
    finite = [loss for loss in losses[:6] if math.isfinite(loss)]
    assert len(finite) == 5
    assert fitted.recorder.history[0]["train/loss"] == pytest.approx(sum(finite) / 5, rel=1e-6)


def test_the_average_of_the_weights_never_sees_the_statistics_of_a_step_that_is_left_out(tmp_path):
    fitted = Fitted(
        tmp_path, model=_Normed(), train=_InfinitePixel(48), epochs=1, ema=Ema(decay=0.5, warmup=False),
        divergence=SkipOnNan(announce=lambda note: None),
    ).fit()  # fmt: skip
    average = fitted.task.average.averaged()
    assert "norm.running_var" in average
    assert all(bool(tensor.isfinite().all()) for tensor in average.values())


def test_a_step_of_several_passes_is_left_out_whole(tmp_path):
    """Of three steps of two passes the second has a bad one, and the steps are as of a run without it."""
    batches = _States(48)
    fitted = Fitted(
        tmp_path, model=_Normed({3}), train=batches, epochs=1, accumulate=2,
        divergence=SkipOnNan(announce=lambda note: None),
    )  # fmt: skip
    batches.fitted = fitted
    fitted.fit()
    assert _equal(batches.states[2], batches.states[4])
    assert fitted.trainer.global_step == 3


def test_gradients_that_are_not_finite_count_where_the_loss_is(tmp_path):
    notes = []

    class Steep(TinyModel):
        def loss(self, outputs, targets):
            logits = outputs["logits"]
            loss = super().loss(outputs, targets)["loss"]
            return {"loss": loss + (logits - logits.detach()).abs().sum().sqrt()}  # the slope of a root at 0

    with pytest.raises(UserError, match=r"gradients are not finite in epoch 1 \(step 4, .*left out 3 before"):
        Fitted(tmp_path, model=Steep(), divergence=SkipOnNan(announce=notes.append)).fit()
    assert len(notes) == 3


def test_the_fourth_bad_step_ends_the_run(tmp_path):
    with pytest.raises(UserError, match=r"the loss is nan in epoch 2 \(step 7, .*recipe.on_nan=skip has left out 3"):
        Fitted(tmp_path, model=_Normed({1, 2, 6, 7}), divergence=SkipOnNan(announce=lambda note: None)).fit()


def test_a_resumed_run_knows_how_many_steps_were_left_out(tmp_path):
    Fitted(tmp_path, model=_Normed({1, 2, 3}), epochs=1, divergence=SkipOnNan(announce=lambda note: None)).fit()
    state = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]["StopOnDivergence"]
    assert state == {"skipped": 3, "rollbacks": 0}
    with pytest.raises(UserError, match="has left out 3 before"):
        Fitted(tmp_path, model=_Normed({1}), resume=True, divergence=SkipOnNan(announce=lambda note: None)).fit()


@pytest.mark.parametrize("kind", [StopOnDivergence, SkipOnNan, RollBackOnNan])
def test_a_run_without_such_a_step_is_the_same_whatever_the_recipe_says(tmp_path, kind):
    plain = Fitted(tmp_path / "a", model=_Normed(), epochs=1).fit()
    watched = Fitted(tmp_path / "b", model=_Normed(), epochs=1, divergence=kind()).fit()
    assert _equal(_state(plain), _state(watched))
    content = torch.load(tmp_path / "b" / "checkpoints" / "last.ckpt", weights_only=True)
    assert "StopOnDivergence" not in content["callbacks"]


def test_an_infinite_pixel_is_kept_and_its_step_left_out(tmp_path):
    notes, file = [], tmp_path / "nan_batch.pt"
    fitted = Fitted(
        tmp_path, model=_Normed(), epochs=1, train=_InfinitePixel(48), divergence=SkipOnNan(file, announce=notes.append)
    ).fit()
    assert all(value.isfinite().all() for value in fitted.task.model.state_dict().values())
    kept = torch.load(file, weights_only=True)
    assert kept["batch"]["images"].isinf().nonzero().tolist() == [[5, 0, 1, 1]]
    assert (kept["epoch"], kept["step"], kept["batch_index"], kept["seed"]) == (1, 3, 2, 0)
    assert "debug=nan" in notes[0]


def test_going_back_is_asked_for_at_the_step_and_nothing_has_changed(tmp_path):
    batches = _States(48)
    fitted = Fitted(tmp_path, model=_Normed({4}), train=batches, epochs=1, divergence=RollBackOnNan())
    batches.fitted = fitted
    with pytest.raises(RollBack, match="the loss is nan in epoch 1") as back:
        fitted.fit()
    assert back.value.count == 1
    assert _equal(batches.states[3], _state(fitted))


def test_a_run_that_has_gone_back_trains_at_half_the_rate_and_so_does_the_one_that_resumes_it(tmp_path):
    plain = Fitted(tmp_path / "a", epochs=2).fit()
    Fitted(tmp_path / "b", epochs=1, divergence=RollBackOnNan(rollbacks=2)).fit()
    resumed = Fitted(tmp_path / "b", epochs=2, resume=True).fit()
    rates = [row["lr"] for row in plain.recorder.history]
    assert resumed.recorder.history[1]["lr"] == pytest.approx(rates[1] / 4)


@pytest.mark.parametrize("state", [{"skipped": 9, "rollbacks": 0}, {"skipped": 0, "rollbacks": True}])
def test_a_state_that_no_run_has_written_is_refused(state):
    with pytest.raises(ValueError, match="skipped"):
        StopOnDivergence().load_state_dict(state)


@pytest.fixture
def device_behind(monkeypatch):
    """Flags are read as on a GPU: some steps later, so that the optimizer has to know by itself."""
    monkeypatch.setattr(nan_guard, "_is_on_cpu", lambda flag: False)
    monkeypatch.setattr(nan_guard, "copy_to_cpu", lambda flag: (flag.clone(), LateEvent(3)))


@pytest.mark.parametrize("optimizer", [SGD, ADAM, MUON], ids=["sgd", "adam", "muon"])
def test_on_a_device_that_is_behind_the_optimizer_leaves_the_step_out_by_itself(tmp_path, device_behind, optimizer):
    batches, notes = _States(64), []
    fitted = Fitted(
        tmp_path, model=_Normed({4}), train=batches, epochs=1, optimizer=optimizer,
        divergence=SkipOnNan(announce=notes.append),
    )  # fmt: skip
    batches.fitted = fitted
    fitted.fit()
    assert _equal(batches.states[3], batches.states[4])
    assert not _equal(batches.states[4], batches.states[5])
    assert "in epoch 1 (step 4" in notes[0]


def test_the_first_step_is_left_out_there_as_well(tmp_path, device_behind):
    """Torch's fused step with momentum would begin with memory that nobody has written."""
    batches = _States(48)
    fitted = Fitted(
        tmp_path, model=_Normed({1}), train=batches, epochs=1, divergence=SkipOnNan(announce=lambda note: None)
    )
    batches.fitted = fitted
    fitted.fit()
    assert _equal(batches.states[0], batches.states[1])
    assert all(value.isfinite().all() for value in _state(fitted).values())


def test_a_run_that_goes_back_there_stays_where_it_was_until_it_is_seen(tmp_path, device_behind):
    batches = _States(64)
    fitted = Fitted(tmp_path, model=_Normed({4}), train=batches, epochs=1, divergence=RollBackOnNan())
    batches.fitted = fitted
    with pytest.raises(RollBack, match=r"the loss is nan in epoch 1 \(step 4"):
        fitted.fit()
    assert len(batches.states) == 8  # the epoch's end is where all look
    assert _equal(batches.states[3], _state(fitted))


WORDS = ("hardware=cpu", "recipe.epochs=1", "debug.limit_batches=8", "recipe.lr=1e10")


@pytest.mark.slow
def test_a_rate_that_no_halving_mends_ends_after_three_times(in_empty_folder, cli):
    code, _, err = cli(*WORDS, "recipe.on_nan=rollback", "run_dir=run")
    assert code == 2
    assert "recipe.on_nan=rollback has gone back 3 before" in err
    notes = [note for note in json.loads((in_empty_folder / "run/notes.json").read_text()) if "goes back" in note]
    assert [note.split("(")[-1] for note in notes] == [f"{n} of 3 at most)" for n in (1, 2, 3)]
    assert "with rates 0.125 times those of the recipe" in notes[2]
    assert "beginning of the run" in notes[0]


@pytest.mark.slow
def test_a_run_goes_back_to_its_last_epoch_and_ends_well(in_empty_folder, cli):
    """A loss of a plugin's that is NaN where the rate is the recipe's own, from the second epoch on."""
    (in_empty_folder / "brittle.py").write_text(PLUGIN)
    assert cli(*PLUGIN_WORDS, "recipe.on_nan=rollback", "run_dir=run")[0] == 0
    assert len((in_empty_folder / "run" / "metrics.csv").read_text().splitlines()) == 4
    state = torch.load(in_empty_folder / "run/checkpoints/last.ckpt", weights_only=True)
    assert state["callbacks"]["StopOnDivergence"] == {"skipped": 0, "rollbacks": 1}
    notes = json.loads((in_empty_folder / "run/notes.json").read_text())
    assert any("goes back to the checkpoint of epoch 1, with rates 0.5 times" in note for note in notes)


@pytest.mark.slow
def test_all_processes_leave_out_the_step_of_which_one_has_the_loss(in_empty_folder):
    (in_empty_folder / "brittle.py").write_text(PLUGIN)
    words = (*PLUGIN_WORDS, "hardware.devices=2", "recipe.on_nan=skip", "run_dir=run")
    assert main(list(words)) == 0
    kept = torch.load(in_empty_folder / "run/nan_batch.pt", weights_only=True)
    assert (kept["process"], kept["step"]) == (1, 5)
    state = torch.load(in_empty_folder / "run/checkpoints/last.ckpt", weights_only=True)
    assert state["callbacks"]["StopOnDivergence"] == {"skipped": 1, "rollbacks": 0}


PLUGIN_WORDS = (
    "plugins=[brittle]", "head.loss={brittle: 1.0}", "hardware=cpu", "recipe.epochs=3", "debug.limit_batches=4",
    "recipe.batch_size=16",
)  # fmt: skip
PLUGIN = '''
import os
from dataclasses import dataclass
import torch
from visionkit.losses.spec import LABEL_LOSSES, LossSpec
CALLS = [0]


@LABEL_LOSSES.register("brittle", module="brittle:brittle")
@dataclass(frozen=True, kw_only=True)
class Brittle(LossSpec):
    """Not a number at the fifth training step, in the last process."""


def brittle(logits, labels, **options):
    loss = torch.nn.functional.cross_entropy(logits, labels)
    if torch.is_grad_enabled():
        CALLS[0] += 1
        if CALLS[0] == 5 and os.environ.get("RANK", "1") == "1":
            return loss * float("nan")
    return loss
'''

"""Weights that are no numbers replace no checkpoint."""

import os
import signal

import pytest
import torch

from tests.helpers.tiny_training import Fitted, TinyModel
from visionkit.backbones.weights.finite import first_non_finite
from visionkit.errors import UserError
from visionkit.runs.checkpoint import export_best, load_best, load_weights
from visionkit.runs.checkpoint_file import read_checkpoint
from visionkit.training.finite import check_checkpoint, check_model


def _check(file, *, best):
    check_checkpoint(read_checkpoint(file, where="resume"), best=best)


def _checkpoint(path, value):
    state = {"a": torch.ones(2), "steps": torch.tensor(3), "b": torch.tensor([1.0, value]), "none": torch.zeros(0)}
    torch.save({"epoch": 0, "state_dict": {f"model.{name}": tensor for name, tensor in state.items()}}, path)


@pytest.mark.parametrize("stop", [False, True])
def test_a_weight_that_diverges_in_the_last_step_replaces_no_checkpoint(tmp_path, monkeypatch, stop):
    fitted = Fitted(tmp_path)
    step = fitted.task.optimizer_step

    def diverge(epoch, batch_idx, *rest):
        step(epoch, batch_idx, *rest)
        if epoch == 1 and batch_idx == (3 if stop else 5):
            fitted.task.model.linear.weight.data[0, 0] = float("inf")
            if stop:
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(fitted.task, "optimizer_step", diverge)
    with pytest.raises(UserError, match=r"training diverged: .*(linear.weight is not finite after epoch 2|loss is)"):
        fitted.fit()
    for name in ("last", "best"):
        state = torch.load(tmp_path / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert (state["epoch"], first_non_finite(state["state_dict"])) == (0, None)


def test_a_run_does_not_go_on_from_weights_that_are_not_finite(tmp_path):
    last, best = tmp_path / "last.ckpt", tmp_path / "best.ckpt"
    _checkpoint(last, float("nan"))
    with pytest.raises(UserError, match=r"last.ckpt' are not finite, such as 'b'.*Begin a new run"):
        _check(last, best=best)
    _checkpoint(best, 2.0)
    with pytest.raises(UserError, match=r"The last finite one is '.*best.ckpt'. To go on from it: cp "):
        _check(last, best=best)
    _check(best, best=best)


@pytest.mark.parametrize("content", [{"epoch": 1}, {"state_dict": 3}, [1]])
def test_a_file_that_is_no_checkpoint_of_a_run_is_named(tmp_path, content):
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match=r"resume: '.*last.ckpt' is no checkpoint that train wrote"):
        _check(tmp_path / "last.ckpt", best=tmp_path / "best.ckpt")


def test_a_run_does_not_go_on_with_an_optimizer_that_is_not_finite(tmp_path):
    moments = {"momentum_buffer": torch.tensor([0.0, float("inf")])}
    content = {"epoch": 0, "state_dict": {"model.a": torch.ones(2)}, "optimizer_states": [{"state": {3: moments}}]}
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match=r"not finite, such as 'momentum_buffer of the optimizer for parameter 3'"):
        _check(tmp_path / "last.ckpt", best=tmp_path / "best.ckpt")


class _WithMinimum(TinyModel):
    """A model with a running minimum, which begins with infinity."""

    def __init__(self):
        super().__init__()
        self.register_buffer("minimum", torch.full((3,), torch.inf))

    def forward(self, images, image_sizes=None):
        if self.training:
            self.minimum[0] = torch.minimum(self.minimum[0], images.min().float())
        return super().forward(images)


def test_a_buffer_that_is_infinite_from_the_beginning_may_stay_so_in_each_way_a_run_takes(tmp_path):
    folder = Fitted(tmp_path, epochs=1, model=_WithMinimum()).fit().folder
    initial = _WithMinimum().state_dict()
    check_checkpoint(read_checkpoint(folder.last_checkpoint), best=folder.best_checkpoint, initial=initial)
    Fitted(tmp_path, epochs=2, model=_WithMinimum(), resume=True).fit()
    export_best(folder)
    for load in (load_best, load_weights):
        model = _WithMinimum()
        load(model, folder)
        assert model.minimum[0] < 256
        assert model.minimum[1:].tolist() == [torch.inf] * 2


def test_a_number_that_is_lost_beside_an_infinite_buffer_is_found(tmp_path):
    fitted = Fitted(tmp_path, epochs=1, model=_WithMinimum())
    fitted.fit()
    content = torch.load(fitted.folder.best_checkpoint, weights_only=True)
    content["state_dict"]["model.minimum"][2] = torch.nan
    torch.save(content, fitted.folder.best_checkpoint)
    with pytest.raises(UserError, match=r"best.ckpt' are not finite, such as 'minimum'"):
        load_best(_WithMinimum(), fitted.folder)
    with pytest.raises(UserError, match=r"best.ckpt' are not finite, such as 'minimum'"):
        check_checkpoint(
            read_checkpoint(fitted.folder.best_checkpoint),
            best=fitted.folder.best_checkpoint,
            initial=_WithMinimum().state_dict(),
        )
    fitted.task.model.minimum[2] = torch.nan
    with pytest.raises(UserError, match=r"training diverged: minimum is not finite"):
        check_model(fitted.task.model, epoch=1, rate=0.1, initial=fitted.task.initial)

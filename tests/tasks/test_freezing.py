"""Frozen stages change by no bit until their epoch."""

import lightning.pytorch as pl
import torch
from torch import nn

from tests.helpers.batch_losses import BatchLosses
from tests.helpers.tiny_training import Fitted, TinyModel
from visionkit.backbones import create_backbone
from visionkit.settings import AdamW

NET = {
    "name": "two",
    "in_channels": 1,
    "image_size": 6,
    "layer_defaults": {"norm": "batch"},
    "stages": {
        name: {"conv": {"type": "conv", "out_channels": 4, "kernel_size": 3, "padding": 1}} for name in ("a", "b")
    },
}


class _Net(TinyModel, BatchLosses):
    def __init__(self):
        super().__init__()
        self.backbone, self.linear = create_backbone(NET), nn.Linear(4 * 36, 3)

    def forward(self, images, image_sizes=None):
        return {"logits": self.linear(self.backbone.forward_features(images.float() / 255).flatten(1))}


class _States(pl.Callback):
    """The states of both stages at the beginning and after each epoch."""

    def __init__(self):
        self.of = {"a": [], "b": []}

    def _keep(self, task):
        for name, states in self.of.items():
            stage = getattr(task.model.backbone, name)
            states.append({key: x.detach().clone() for key, x in stage.state_dict().items()})

    def on_fit_start(self, trainer, pl_module):
        self._keep(pl_module)

    def on_train_epoch_end(self, trainer, pl_module):
        self._keep(pl_module)


def _changed(before, after):
    return [name for name in before if not torch.equal(before[name], after[name])]


def _states(path, **changes):
    torch.manual_seed(0)
    states = _States()
    optimizer = AdamW(weight_decay=0.5, betas=(0.9, 0.99), eps=1e-8)
    fitted = Fitted(path, model=_Net(), callbacks=(states,), optimizer=optimizer, lr=0.01, **changes).fit()
    return fitted, states.of


def test_frozen_stages_and_their_statistics_change_by_no_bit(tmp_path):
    fitted, states = _states(tmp_path, epochs=2, freeze=1)
    first, last = states["a"][0], states["a"][-1]
    assert {"conv.norm.running_mean", "conv.norm.num_batches_tracked", "conv.conv.weight"} <= first.keys()
    assert _changed(first, last) == []
    assert len(_changed(states["b"][0], states["b"][-1])) == len(first)
    frozen = set(fitted.task.model.backbone.a.parameters())
    assert not any(p in frozen for group in fitted.trainer.optimizers[0].param_groups for p in group["params"])


def test_thawed_stages_are_trained_from_their_epoch_on(tmp_path):
    fitted, states = _states(tmp_path, epochs=3, freeze=1, unfreeze_at=2)
    initial, first, second, third = states["a"]
    assert _changed(initial, first) == _changed(initial, second) == []
    assert len(_changed(second, third)) == len(initial)
    assert third["conv.norm.num_batches_tracked"] == 6
    assert fitted.task.model.backbone.num_frozen_stages == 0


def test_a_share_of_the_run_is_rounded_to_whole_epochs(tmp_path):
    assert _states(tmp_path, epochs=2, freeze=2, unfreeze_at=0.5)[0].recipe.thaw_epoch == 1

"""Gradient checkpointing by stage: the same numbers to the last bit, in less memory."""

import copy

import pytest
import torch

from visionkit.backbones import create_backbone

SLOW = ("convnext_tiny", "mnasnet0_5", "regnet_y_400mf", "squeezenet1_1")
EACH = ["lenet", "resnet20", "mobilenet_v3_small", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
"""Those with other combinators; all 24 families were compared once."""
WITH_NOISE = {
    "name": "noisy",
    "layer_defaults": {"norm": "batch"},
    "stages": {
        "a": {"conv": {"type": "conv", "out_channels": 4, "kernel_size": 3}, "drop": {"type": "dropout", "p": 0.5}},
        "b": {"conv": {"type": "conv", "out_channels": 4, "kernel_size": 3}},
    },
}


def _step(backbone, images, *, checkpointing):
    """Maps, gradients and buffers after two training steps."""
    backbone = copy.deepcopy(backbone).train()
    backbone.gradient_checkpointing = checkpointing
    for seed in (1, 2):
        torch.manual_seed(seed)
        maps = backbone(images)
        sum(x.square().mean() for x in maps.values()).backward()
    found = {f"map {name}": x.detach() for name, x in maps.items()}
    found |= {f"gradient {name}": p.grad for name, p in backbone.named_parameters()}
    return found | {f"buffer {name}": b for name, b in backbone.named_buffers()}, float(torch.rand(()))


def _assert_equal(backbone, images):
    (plain, drawn), (checkpointed, drawn_too) = (_step(backbone, images, checkpointing=on) for on in (False, True))
    assert plain.keys() == checkpointed.keys()
    assert [name for name, x in plain.items() if x is not None and not torch.equal(x, checkpointed[name])] == []
    assert drawn == drawn_too
    return checkpointed


@pytest.mark.parametrize("name", EACH)
def test_maps_gradients_and_running_statistics_are_equal_to_the_last_bit(name):
    backbone = create_backbone(name)
    _assert_equal(backbone, torch.randn(2, backbone.spec.in_channels, 64, 64))


def test_what_is_drawn_is_drawn_again_as_before():
    backbone = create_backbone(WITH_NOISE)
    found = _assert_equal(backbone, torch.randn(2, 3, 8, 8))
    assert (found["map a"] == 0).float().mean() > 0.3


def test_batches_are_counted_once():
    backbone = create_backbone(WITH_NOISE)
    found, _ = _step(backbone, torch.randn(2, 3, 8, 8), checkpointing=True)
    counts = [int(x) for name, x in found.items() if name.endswith("num_batches_tracked")]
    assert counts == [2, 2]


def test_frozen_stages_may_be_checkpointed():
    backbone = create_backbone(WITH_NOISE)
    backbone.freeze(1)
    _assert_equal(backbone, torch.randn(2, 3, 8, 8))


def _saved_bytes(backbone, images):
    saved = {}

    def pack(x):
        saved[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    weights = {p.untyped_storage().data_ptr() for p in backbone.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        kept = backbone(images)
    assert kept
    return sum(size for address, size in saved.items() if address not in weights)


def test_less_is_kept_for_the_backward_pass():
    backbone = create_backbone("resnet20").train()
    images = torch.randn(2, 3, 32, 32)
    plain = _saved_bytes(backbone, images)
    backbone.gradient_checkpointing = True
    assert _saved_bytes(backbone, images) < 0.15 * plain


def test_in_evaluation_nothing_is_computed_twice():
    backbone = create_backbone("lenet").eval()
    backbone.gradient_checkpointing = True
    calls = []
    backbone.c1.register_forward_hook(lambda *_: calls.append(1))
    backbone(torch.randn(1, 1, 32, 32))["c3"].sum().backward()
    assert calls == [1]

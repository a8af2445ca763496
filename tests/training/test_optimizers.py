"""Parameter groups, and optimizers against torch's."""

import copy

import pytest
import torch
from torch import nn

from tests.helpers.bare_networks import uninitialised
from visionkit.models import create_model
from visionkit.settings import Adam, AdamW, Sgd
from visionkit.training.optimizers import make_optimizer, parameter_groups


def _net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def test_weight_decay_spares_norms_and_biases():
    net = _net()
    decayed, spared = parameter_groups(net, weight_decay=0.1)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert {id(p) for p in decayed["params"]} == {id(net[0].weight), id(net[3].weight)}
    assert len(spared["params"]) == 4


def test_frozen_parameters_are_left_out():
    net = _net()
    net[0].requires_grad_(False)
    assert sum(len(group["params"]) for group in parameter_groups(net, weight_decay=0.1)) == 4


@pytest.mark.parametrize(
    ("settings", "reference"),
    [
        (Sgd(momentum=0.9, nesterov=True, weight_decay=0.0), lambda p: torch.optim.SGD(p, 0.1, 0.9, nesterov=True)),
        (Adam(betas=(0.8, 0.9), eps=1e-6, weight_decay=0.0), lambda p: torch.optim.Adam(p, 0.1, (0.8, 0.9), 1e-6)),
        (
            AdamW(betas=(0.8, 0.9), eps=1e-6, weight_decay=0.0),
            lambda p: torch.optim.AdamW(p, 0.1, (0.8, 0.9), 1e-6, weight_decay=0.0),
        ),
    ],
)
def test_optimizers_step_as_torch_does(settings, reference):
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.Tanh(), nn.Linear(4, 2))
    theirs = copy.deepcopy(ours)
    optimizers = [make_optimizer(ours, settings=settings, lr=0.1), reference(theirs.parameters())]
    images = torch.randn(8, 1, 3, 3, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        for net, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            net(images).square().mean().backward()
            optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)  # float32, other order of operations in the fused kernel


def _rates(model, **factors):
    """The rate and the weight decay of each parameter by name, at a base rate of 1."""
    settings = Sgd(momentum=0.9, nesterov=True, weight_decay=0.1)
    optimizer = make_optimizer(model, settings=settings, lr=1.0, **factors)
    found = {id(p): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]}
    return {name: found[id(parameter)] for name, parameter in model.named_parameters()}


@pytest.mark.parametrize(
    ("backbone", "task", "expected"),
    [
        ("lenet", "classify", {"c1": 0.5625, "c3": 0.75}),
        (
            "resnet18",
            "detect",
            {"stem": 0.2373046875, "layer1": 0.31640625, "layer2": 0.421875, "layer3": 0.5625, "layer4": 0.75},
        ),
        (
            "convnext_tiny",
            "classify",
            {"stem": 0.2373046875, "stage1": 0.31640625, "stage2": 0.421875, "stage3": 0.5625, "stage4": 0.75},
        ),
    ],
)
def test_each_stage_has_three_quarters_of_the_rate_of_the_next(backbone, task, expected):
    with uninitialised():
        model = create_model(task, backbone, num_classes=10)
    rates = _rates(model, layer_decay=0.75)
    for name, parameter in model.named_parameters():
        part, stage = name.split(".")[:2]
        rate = expected[stage] if part == "backbone" else 1.0
        assert rates[name] == (pytest.approx(rate), 0.1 if parameter.ndim > 1 else 0.0), name


def test_the_rate_of_the_backbone_is_multiplied_with_that_of_its_stages():
    model = create_model("classify", "lenet", num_classes=10)
    assert {rate for rate, _ in _rates(model, backbone_lr=0.1).values()} == {0.1, 1.0}
    both = _rates(model, backbone_lr=0.1, layer_decay=0.5)
    assert sorted({rate for rate, _ in both.values()}) == pytest.approx([0.025, 0.05, 1.0])


def test_the_first_group_says_what_its_rate_was_multiplied_by():
    model = create_model("classify", "lenet", num_classes=10)
    settings = Sgd(momentum=0.9, nesterov=True, weight_decay=0.1)
    first = make_optimizer(model, settings=settings, lr=1.0, backbone_lr=4.0).param_groups[0]
    assert first["lr"] / first["lr_scale"] == 1.0


def test_stages_of_timm_have_rates_too():
    pytest.importorskip("timm")
    with uninitialised():
        model = create_model("classify", {"name": "timm", "model": "resnet18"}, num_classes=10)
    rates = _rates(model, layer_decay=0.5)
    assert rates["backbone.net.conv1.weight"][0] == pytest.approx(0.5**5)
    assert rates["backbone.net.layer4.0.conv1.weight"][0] == pytest.approx(0.5)


def test_without_factors_the_groups_are_those_of_the_weight_decay():
    assert [sorted(group) for group in parameter_groups(_net(), weight_decay=0.1)] == [["params", "weight_decay"]] * 2


def test_a_fused_kernel_is_used_where_there_is_one():
    settings = Sgd(momentum=0.9, nesterov=True, weight_decay=0.1)
    assert make_optimizer(_net(), settings=settings, lr=0.1).defaults["fused"]
    assert not make_optimizer(_net(), settings=settings, lr=0.1, fused=False).defaults["fused"]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        Sgd(momentum=0.9, nesterov=True, weight_decay=1e-4),
        AdamW(betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01),
    ],
)
def test_moments_are_those_of_their_weights_in_a_run_resumed_in_the_other_layout(settings, channels_last):
    """The reference is torch's step that is not fused; layouts are `hardware.channels_last`."""
    formats = (torch.channels_last, torch.contiguous_format)
    saved, resumed = formats if channels_last else formats[::-1]
    torch.manual_seed(0)
    net = nn.Conv2d(4, 8, 3)
    reference = copy.deepcopy(net)
    images = torch.randn(2, 4, 6, 6)

    def step(net, optimizer):
        optimizer.zero_grad()
        net(images).square().mean().backward()
        optimizer.step()

    expected = make_optimizer(reference, settings=settings, lr=0.1, fused=False)
    state = None
    for layout in (saved, resumed):
        optimizer = make_optimizer(net.to(memory_format=layout), settings=settings, lr=0.1)
        if state is not None:
            optimizer.load_state_dict(state)
        step(net, optimizer)
        step(reference, expected)
        state = copy.deepcopy(optimizer.state_dict())
    torch.testing.assert_close(net.weight, reference.weight, rtol=1e-4, atol=1e-6)

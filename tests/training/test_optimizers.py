"""Parameter groups, optimizers, and schedules against their formulas."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from visionkit.settings import Adam, AdamW, Recipe, Schedule, Sgd
from visionkit.training.optimizers import make_optimizer, parameter_groups
from visionkit.training.schedules import make_schedule, schedule_factor

COSINE = Schedule(
    type="cosine", warmup_epochs=2.0, end_factor=0.0, milestones=(0.5, 0.75), gamma=0.1, rise=0.25, start_factor=0.04
)
RECIPE = Recipe(
    epochs=10, batch_size=4, lr=0.1, clip_norm=None, accumulate=1, early_stopping=None, schedule=COSINE,
    optimizer=Sgd(momentum=0.9, nesterov=True, weight_decay=0.1),
)  # fmt: skip


def _net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def _factors(kind, total, *, warmup):
    return [schedule_factor(replace(COSINE, type=kind), step, total, warmup=warmup) for step in range(total)]


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


def test_warm_up_is_linear_and_reaches_the_whole_rate():
    factors = _factors("constant", 100, warmup=0.2)
    assert factors[:20] == pytest.approx([(step + 1) / 21 for step in range(20)])
    assert factors[20:] == [1.0] * 80


def test_cosine_follows_its_formula_behind_the_warm_up():
    factors = _factors("cosine", 100, warmup=0.2)
    assert factors[20:] == pytest.approx([(1 + math.cos(math.pi * (s - 20) / 80)) / 2 for s in range(20, 100)])
    assert 0 < factors[-1] < 1e-3


def test_step_drops_at_its_milestones():
    factors = _factors("step", 100, warmup=0.0)
    assert factors == pytest.approx([1.0] * 50 + [0.1] * 25 + [0.01] * 25)


def test_one_cycle_equals_torch():
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    torch_one = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=101, pct_start=0.25 + 0.75 / 101, div_factor=25, final_div_factor=1e9,
        cycle_momentum=False,
    )  # fmt: skip
    expected = []
    for _ in range(101):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        torch_one.step()
    # torch counts the rise as pct_start * total - 1 steps: the share above makes both 25 of 101.
    assert _factors("one_cycle", 101, warmup=0.0) == pytest.approx(expected, abs=1e-6)


def test_one_step_is_a_run_too():
    for kind in ("constant", "cosine", "step", "one_cycle"):
        assert 0 < schedule_factor(replace(COSINE, type=kind), 0, 1, warmup=0.5) <= 1


def test_warm_up_takes_its_share_of_the_epochs_and_at_most_half():
    assert make_schedule(RECIPE)(20, 100) == pytest.approx(1.0)
    assert make_schedule(RECIPE)(19, 100) == pytest.approx(20 / 21)
    assert make_schedule(RECIPE, epochs=1)(50, 100) == pytest.approx(1.0)

"""Learning rate schedules against their formulas."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from visionkit.settings import SCHEDULES, Cosine, Recipe, Sgd
from visionkit.training.schedules import make_schedule

COSINE = Cosine(
    warmup_epochs=2.0, end_factor=0.0, milestones=(0.5, 0.75), gamma=0.1, rise=0.25, start_factor=0.04
)  # fmt: skip
RECIPE = Recipe(
    epochs=10, batch_size=4, lr=0.1, clip_norm=None, accumulate=1, early_stopping=None, on_nan="stop",
    teacher=None, schedule=COSINE,
    optimizer=Sgd(momentum=0.9, nesterov=True, weight_decay=0.1),
)  # fmt: skip


def _factors(kind, total, *, warmup):
    schedule = SCHEDULES.get(kind)(**{**vars(COSINE), "warmup_epochs": warmup * RECIPE.epochs})
    factor = make_schedule(replace(RECIPE, schedule=schedule))
    return [factor(step, total) for step in range(total)]


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
        assert 0 < _factors(kind, 1, warmup=0.5)[0] <= 1


def test_warm_up_takes_its_share_of_the_epochs_and_at_most_half():
    assert make_schedule(RECIPE)(20, 100) == pytest.approx(1.0)
    assert make_schedule(RECIPE)(19, 100) == pytest.approx(20 / 21)
    assert make_schedule(replace(RECIPE, epochs=1))(50, 100) == pytest.approx(1.0)

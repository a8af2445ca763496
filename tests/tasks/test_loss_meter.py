"""Means of losses."""

import pytest
import torch

from visionkit.tasks.loss_meter import LossMeter


def test_losses_are_weighted_by_the_size_of_their_batch():
    meter = LossMeter()
    meter.update({"loss": torch.tensor(1.0), "part": torch.tensor(0.5)}, 3)
    meter.update({"loss": torch.tensor(5.0), "part": torch.tensor(0.1)}, 1)
    means = meter.means()
    assert means["loss"].item() == pytest.approx(2.0)
    assert means["part"].item() == pytest.approx(0.4)


def test_half_precision_losses_are_summed_in_double_precision():
    meter = LossMeter()
    for _ in range(1000):
        meter.update({"loss": torch.tensor(1.5, dtype=torch.bfloat16)}, 64)
    assert meter.means()["loss"].dtype == torch.float64
    assert meter.means()["loss"].item() == pytest.approx(1.5)


def test_nothing_seen_gives_nothing():
    meter = LossMeter()
    meter.update({"loss": torch.tensor(1.0)}, 1)
    meter.reset()
    assert meter.means() == {}
    assert meter.last is None


def test_last_is_the_newest_loss_without_its_graph():
    meter = LossMeter()
    meter.update({"loss": torch.tensor(3.0, requires_grad=True) * 2}, 1)
    assert meter.last.item() == 6.0
    assert not meter.last.requires_grad

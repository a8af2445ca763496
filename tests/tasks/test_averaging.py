"""The average of weights over the steps: its formula, and which tensors the model holds when."""

import pytest
import torch
from timm.utils import ModelEmaV3
from torch import nn

from tests.helpers.process_group import run_in_group
from visionkit.distributed.sync_batch_norm import convert_batch_norm
from visionkit.tasks.averaging import WeightAverage, average_decay


def _net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))


def _train(net, steps):
    """Weights after each of some steps."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(4, 1, 4, 4, generator=generator)).square().sum().backward()
        optimizer.step()
        yield


def _average(net, **changes):
    return WeightAverage(net, **{"decay": 0.9998, "warmup": True, **changes})


@pytest.mark.parametrize("warmup", [False, True])
def test_the_decay_of_each_update_is_that_of_timm(warmup):
    reference = ModelEmaV3(nn.Linear(1, 1), decay=0.999, use_warmup=warmup)
    for update in (1, 2, 3, 10, 200, 5_000, 31_622, 31_700, 10**6):
        expected = reference.get_decay(update)
        assert average_decay(update - 1, decay=0.999, warmup=warmup) == expected


@pytest.mark.parametrize("changes", [{}, {"warmup": False, "decay": 0.9}])
def test_weights_and_statistics_are_averaged_as_by_timm_and_counts_are_the_newest(changes):
    net = _net()
    average = _average(net, **changes)
    reference = ModelEmaV3(net, decay=average.decay, use_warmup=average.warmup)
    for step, _ in enumerate(_train(net, 6), start=1):
        average.update()
        reference.update(net, step)
    average.exchange(averaged=True)
    state, expected = net.state_dict(), reference.module.state_dict()
    assert list(state) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(state[name], value, rtol=1e-6, atol=1e-7)
    assert state["1.num_batches_tracked"] == 6


def test_a_weight_that_stays_is_its_own_average_to_the_last_bit():
    net = _net()
    net[0].requires_grad_(False)
    before = net[0].weight.clone()
    average = _average(net, warmup=False)
    for _ in _train(net, 5):
        average.update()
    assert torch.equal(average.averaged()["0.weight"], before)
    assert not torch.equal(average.averaged()["4.weight"], net[4].weight)


def test_the_names_are_right_whoever_holds_the_tensors_and_an_exchange_back_changes_nothing():
    net = _net().to(memory_format=torch.channels_last)
    average = _average(net)
    for _ in _train(net, 3):
        average.update()
    trained = {name: value.clone() for name, value in net.state_dict().items()}
    averaged = {name: value.clone() for name, value in average.averaged().items()}
    parameters = [id(parameter) for parameter in net.parameters()]
    for held in (True, True, False, False):
        with torch.inference_mode(held):
            average.exchange(averaged=held)
        for name, value in averaged.items():
            assert torch.equal(average.averaged()[name], value)
            assert torch.equal(average.in_training()[name], trained[name])
            assert torch.equal(net.state_dict()[name], value if held else trained[name])
    assert [id(parameter) for parameter in net.parameters()] == parameters
    assert next(iter(_train(net, 1)), 1) is None  # it can be trained after an exchange in inference mode


def test_a_tensor_of_two_names_is_averaged_once_and_known_by_both():
    net = _net()
    net.append(nn.Linear(12, 2))
    net[5].weight = net[4].weight
    average = _average(net)
    assert average.averaged()["5.weight"].data_ptr() == average.averaged()["4.weight"].data_ptr()
    assert set(average.averaged()) == {name for name in net.state_dict() if not name.endswith("tracked")}


@pytest.mark.slow
def test_a_compiled_model_computes_with_what_it_holds():
    net = _net()
    average = _average(net, decay=0.5, warmup=False)
    for _ in _train(net, 4):
        average.update()
    net.eval()
    images = torch.ones(1, 1, 4, 4)
    expected = []
    for held in (False, True):
        average.exchange(averaged=held)
        expected.append(net(images))
    net.compile(backend="aot_eager")
    for held in (True, False, True, False):
        average.exchange(averaged=held)
        torch.testing.assert_close(net(images), expected[held])


def _statistics(rank, synchronised):
    net = _net()
    if synchronised:
        convert_batch_norm(net, on_gpu=False)
    average = _average(net)
    net[1].running_mean.fill_(rank + 1.0)
    average.update()
    average.broadcast()
    return average.averaged()["1.running_mean"].tolist(), net[1].running_mean.tolist()


@pytest.mark.parametrize("synchronised", [False, True])
def test_averaged_statistics_are_those_of_the_first_process_in_all(tmp_path, synchronised):
    found = run_in_group(2, _statistics, synchronised, folder=tmp_path)
    assert [averaged for averaged, _ in found] == [[1.0] * 3] * 2
    assert found[1][1] == [2.0] * 3

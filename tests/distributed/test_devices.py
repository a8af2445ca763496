"""Which device is taken, and what is said where it is not there."""

import pytest
import torch
from torch import nn

from tests.helpers.settings import hardware
from visionkit.distributed.devices import choose_accelerator, count_devices, device_name
from visionkit.errors import UserError
from visionkit.models.prepare import prepare_model


def _hardware(**changes):
    return hardware("auto", **changes)


@pytest.fixture
def pretend_devices(monkeypatch):
    def pretend(*, cuda=0, mps=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("cuda", "mps", "asked", "chosen"),
    [
        (1, False, "auto", "cuda"),
        (0, True, "auto", "mps"),
        (0, False, "auto", "cpu"),
        (1, False, "cpu", "cpu"),
        (1, False, "gpu", "cuda"),
        (0, True, "gpu", "mps"),
    ],
)
def test_the_device_follows_what_is_there(pretend_devices, cuda, mps, asked, chosen):
    pretend_devices(cuda=cuda, mps=mps)
    assert choose_accelerator(_hardware(accelerator=asked)) == chosen


def test_no_gpu_names_what_was_found_and_the_way_out(pretend_devices):
    pretend_devices()
    with pytest.raises(UserError, match=r"torch finds none \(torch .*CPU threads\)\. Try: hardware=cpu"):
        choose_accelerator(_hardware(accelerator="gpu"))


def test_no_apple_gpu_is_named(pretend_devices):
    pretend_devices()
    with pytest.raises(UserError, match="no Apple GPU here"):
        choose_accelerator(_hardware(accelerator="mps"))


def test_all_gpus_are_as_many_as_there_are_and_a_cpu_is_one_unless_it_is_divided(pretend_devices):
    pretend_devices(cuda=4)
    assert count_devices(_hardware(devices="auto"), "cuda") == 4
    assert count_devices(_hardware(devices="auto"), "cpu") == 1
    assert count_devices(_hardware(devices=3), "cpu") == 3


def test_more_gpus_than_there_are_names_how_many_there_are(pretend_devices):
    pretend_devices(cuda=1)
    with pytest.raises(UserError, match=r"2 GPUs were asked for, but there is 1 here\. Try: hardware\.devices=1"):
        count_devices(_hardware(devices=2), "cuda")


@pytest.mark.parametrize(("cores", "most"), [(2, 8), (16, 16)])
def test_a_cpu_takes_a_process_per_core_and_eight_anywhere(monkeypatch, pretend_devices, cores, most):
    pretend_devices()
    monkeypatch.setattr("visionkit.distributed.devices.available_cores", lambda: cores)
    assert count_devices(_hardware(devices=most), "cpu") == most
    words = rf"{most + 1} processes were asked for.* {cores} cores.*Try: hardware\.devices={cores}$"
    with pytest.raises(UserError, match=words):
        count_devices(_hardware(devices=most + 1), "cpu")
    assert count_devices(_hardware(), "cpu", started=500) == 500


def test_an_apple_gpu_serves_one_process(pretend_devices):
    pretend_devices(mps=True)
    assert count_devices(_hardware(), "mps") == 1
    with pytest.raises(UserError, match="an Apple GPU serves one process"):
        count_devices(_hardware(devices=2), "mps")


def test_processes_started_from_outside_are_as_many_as_asked_for(pretend_devices):
    pretend_devices()
    assert count_devices(_hardware(), "cpu", started=2) == 2
    with pytest.raises(UserError, match=r"found 3, but 2 process\(es\) were started"):
        count_devices(_hardware(devices=3), "cpu", started=2)


def test_half_precision_on_the_cpu_names_bf16(pretend_devices):
    pretend_devices()
    with pytest.raises(UserError, match=r"hardware\.precision: found 16.*Try: hardware\.precision=bf16"):
        choose_accelerator(_hardware(precision="16"))
    assert choose_accelerator(_hardware(precision="bf16")) == "cpu"


def test_the_cpu_has_a_name():
    assert "threads" in device_name("cpu")


class _Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 3)
        self.asked = False

    def use_channels_last(self):
        self.asked = True
        return self.to(memory_format=torch.channels_last)


def test_compiling_and_laying_out_a_model_keep_the_names_of_its_weights():
    net = _Net()
    names = list(net.state_dict())
    prepared = prepare_model(net, _hardware(compile=True))
    assert prepared is net
    assert list(net.state_dict()) == names
    assert net._compiled_call_impl is not None
    assert net.asked
    assert net.conv.weight.is_contiguous(memory_format=torch.channels_last)


def test_the_layout_can_be_left_alone():
    assert not prepare_model(_Net(), _hardware(channels_last=False)).asked

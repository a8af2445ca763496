"""Which device is taken, and what is said where it is not there."""

import pytest
import torch
from torch import nn

from visionkit.errors import UserError
from visionkit.training.hardware import choose_accelerator, device_name, prefers_channels_last
from visionkit.training.settings import Hardware


def _hardware(**changes):
    values = {"accelerator": "auto", "devices": 1, "num_nodes": 1, "precision": "32", "compile": False}
    return Hardware(**{**values, "channels_last": True, **changes})


@pytest.fixture
def _devices(monkeypatch):
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
def test_the_device_follows_what_is_there(_devices, cuda, mps, asked, chosen):
    _devices(cuda=cuda, mps=mps)
    assert choose_accelerator(_hardware(accelerator=asked)) == chosen


def test_no_gpu_names_what_was_found_and_the_way_out(_devices):
    _devices()
    with pytest.raises(UserError, match=r"torch finds none \(torch .*CPU threads\)\. Try: hardware=cpu"):
        choose_accelerator(_hardware(accelerator="gpu"))


def test_no_apple_gpu_is_named(_devices):
    _devices()
    with pytest.raises(UserError, match="no Apple GPU here"):
        choose_accelerator(_hardware(accelerator="mps"))


def test_all_gpus_is_one_where_there_is_one_and_refused_where_there_are_more(_devices):
    _devices(cuda=1)
    assert choose_accelerator(_hardware(accelerator="gpu", devices="auto")) == "cuda"
    _devices(cuda=4)
    with pytest.raises(UserError, match=r"found 4 GPUs.*not built yet\. Try: hardware\.devices=1"):
        choose_accelerator(_hardware(accelerator="gpu", devices="auto"))


def test_half_precision_on_the_cpu_names_bf16(_devices):
    _devices()
    with pytest.raises(UserError, match=r"hardware\.precision: found 16.*Try: hardware\.precision=bf16"):
        choose_accelerator(_hardware(precision="16"))
    assert choose_accelerator(_hardware(precision="bf16")) == "cpu"


def test_the_cpu_has_a_name():
    assert "threads" in device_name("cpu")


def test_small_convolutions_keep_their_layout():
    assert not prefers_channels_last(nn.Sequential(nn.Conv2d(1, 16, 5)), _hardware())
    assert prefers_channels_last(nn.Sequential(nn.Conv2d(3, 64, 3)), _hardware())
    assert not prefers_channels_last(nn.Sequential(nn.Conv2d(3, 64, 3)), _hardware(channels_last=False))

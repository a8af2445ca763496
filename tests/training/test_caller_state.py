"""A run is the same whatever modes of torch its caller is in, and these stay."""

import contextlib

import pytest
import torch

import visionkit as vk
from visionkit.training.caller_state import plain_torch


@contextlib.contextmanager
def _default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


MODES = {
    "inference": lambda: torch.inference_mode(),
    "no gradients": lambda: torch.no_grad(),
    "dtype": _default_dtype,
    "device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


def _modes():
    return (
        torch.is_inference_mode_enabled(), torch.is_grad_enabled(), torch.get_default_dtype(),
        torch.get_default_device().type, torch.is_autocast_enabled("cpu"),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["inference", "dtype", "device", "autocast"])
def test_a_callers_mode_is_put_aside_and_comes_back(name):
    plain = _modes()
    with MODES[name]():
        before = _modes()
        assert before != plain
        with plain_torch():
            assert _modes() == plain
            layer = torch.nn.Linear(2, 2)
            assert layer(torch.ones(1, 2)).dtype == torch.float32
            assert (layer.weight.dtype, layer.weight.device.type) == (torch.float32, "cpu")
            layer(torch.ones(1, 2)).sum().backward()
        assert _modes() == before


def _weights(**words):
    task, _ = vk.build("backbone=lenet", "hardware=cpu", **words)
    return task.model.state_dict()


@pytest.mark.parametrize("name", ["dtype", "device"])
def test_what_is_built_is_the_same_in_any_mode(name):
    expected = _weights()
    with MODES[name]():
        found = _weights()
    assert all(torch.equal(found[key], value) and found[key].dtype == value.dtype for key, value in expected.items())


@pytest.mark.parametrize("name", MODES)
def test_what_is_loaded_predicts_the_same_in_any_mode(name, shared_runs):
    image = torch.arange(64, dtype=torch.uint8).repeat(16).view(1, 32, 32)
    expected = vk.load(shared_runs.of("classify")).predict(image).score
    with MODES[name]():
        model = vk.load(shared_runs.of("classify"))
    assert model.predict(image).score == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", MODES)
def test_a_training_and_its_evaluation_are_the_same_in_any_mode(name, shared_runs, tmp_path):
    run = shared_runs.of("classify")
    words = {"run": run, "progress": False, "debug": "fast"}
    expected = vk.train(run_dir=tmp_path / "plain", **words)
    with MODES[name]():
        found = vk.train(run_dir=tmp_path / "mode", **words)
        measured = vk.evaluate(found).scalars["test/loss"]
    assert found.metrics["test/loss"] == expected.metrics["test/loss"] == pytest.approx(measured, rel=1e-6)
    assert found.history[-1]["train/loss"] == expected.history[-1]["train/loss"]

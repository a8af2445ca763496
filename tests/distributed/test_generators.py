"""Seeding what a model draws from."""

import traceback

import pytest
import torch

from visionkit.distributed.generators import seed_generators
from visionkit.heads.two_stage.sampling import ImageSampler

CPU = torch.device("cpu")


@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_draws_are_those_after_torchs_own_seeding(seed):
    torch.manual_seed(seed)
    expected = torch.rand(4)
    seed_generators(seed, CPU)
    assert torch.equal(torch.rand(4), expected)


def test_other_devices_than_cpu_and_cuda_are_seeded_by_torch_itself(monkeypatch):
    seeds = []
    monkeypatch.setattr(torch, "manual_seed", seeds.append)
    seed_generators(3, torch.device("mps"))
    assert seeds == [3]


def test_a_gpu_is_seeded_together_with_the_cpu(monkeypatch):
    gpus = (torch.Generator(), torch.Generator())
    monkeypatch.setattr(torch.cuda, "default_generators", gpus)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    for name, seed in (("cuda:1", 5), ("cuda", 6)):
        seed_generators(seed, torch.device(name))
        assert torch.default_generator.initial_seed() == seed
    assert [generator.initial_seed() for generator in gpus] == [6, 5]


def test_a_step_writes_down_no_call_stack(monkeypatch):
    """What made `torch.manual_seed` slow; an image of an evaluated two-stage detector is seeded too."""

    def fail(*arguments, **options):
        raise AssertionError("the call stack was formatted")

    monkeypatch.setattr(traceback, "format_stack", fail)
    seed_generators(1, CPU)
    sampler = ImageSampler(lambda labels: ([labels[0] > 0], [labels[0] == 0]))
    sampler.seeds = [4]
    positives, _ = sampler([torch.tensor([1.0, 0.0])])
    assert torch.default_generator.initial_seed() == 4
    assert positives[0].tolist() == [True, False]

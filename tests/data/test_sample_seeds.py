"""Random numbers of samples: theirs alone, and as even as those of a generator."""

import numpy as np
import torch

from visionkit.data.sample_seeds import Draws, manual_seed, preserved_random_state, sample_seeds


def test_a_samples_seed_depends_on_run_epoch_and_sample_alone():
    seeds = sample_seeds(3, 1, np.arange(1000))
    assert len(set(seeds.tolist())) == 1000
    assert sample_seeds(3, 1, np.array([7, 5])).tolist() == [seeds[7], seeds[5]]
    assert not set(seeds.tolist()) & {*sample_seeds(3, 2, np.arange(1000)).tolist()}
    assert not set(seeds.tolist()) & {*sample_seeds(4, 1, np.arange(1000)).tolist()}


def test_the_hash_is_splitmix64():
    """The first number of the published generator for the seed 1234567; the next hashes that one, not the seed."""
    draws = Draws(np.array([1234567], dtype=np.uint64))
    assert draws.seeds().tolist() == [6457827717110365317]


def test_a_sample_draws_the_same_numbers_in_any_batch():
    seeds = sample_seeds(0, 0, np.arange(64))
    whole, part = Draws(seeds), Draws(seeds[5::7])
    for _ in range(3):
        assert torch.equal(whole.uniform(-2, 3)[5::7], part.uniform(-2, 3))
        assert torch.equal(whole.integers(9)[5::7], part.integers(9))


def test_draws_are_even_and_independent():
    """20,000 draws: the mean of 20 bins is 1,000 with a deviation of 31, that of a correlation 0.007."""
    draws = Draws(sample_seeds(0, 0, np.arange(20_000)))
    first, second = draws.uniform(), draws.uniform()
    assert first.min() >= 0
    assert first.max() < 1
    for values in (first, second):
        assert (torch.histc(values, 20, 0, 1) - 1000).abs().max() < 150
    assert torch.corrcoef(torch.stack([first, second]))[0, 1].abs() < 0.03
    assert torch.corrcoef(torch.stack([first[1:], first[:-1]]))[0, 1].abs() < 0.03
    counts = torch.bincount(draws.integers(3))
    assert len(counts) == 3
    assert (counts - 20_000 / 3).abs().max() < 350


def test_torchs_random_state_is_restored():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    with preserved_random_state():
        manual_seed(2**64 - 1)
        torch.rand(5)
    assert torch.equal(torch.rand(2), expected)

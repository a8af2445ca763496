"""Random numbers that belong to samples: the same in whichever batch, order and process a sample is read."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Draws",
    "Seeds",
    "manual_seed",
    "mix_seed",
    "preserved_generators",
    "preserved_random_state",
    "sample_seeds",
]

Seeds = NDArray[np.uint64]
"""The seed of each sample of a batch, uint64 (B,)."""


def mix_seed(*numbers: int) -> int:
    """Hash numbers to one seed, with Knuth's MMIX linear congruential generator modulo 2**63."""
    seed = 0
    for number in numbers:
        seed = (seed * 6364136223846793005 + number + 1442695040888963407) % 2**63
    return seed


def sample_seeds(seed: int, epoch: int, indices: NDArray[np.int64]) -> Seeds:
    """The seeds of samples in an epoch.

    Args:
        seed: The seed of the run.
        epoch: The epoch.
        indices: Indices of the samples in their split, (B,).
    """
    seeds: Seeds = _hash(np.uint64(mix_seed(seed, epoch)) ^ _hash(indices.astype(np.uint64)))
    return seeds


class Draws:
    """Random numbers of the samples of a batch, one per sample at a time.

    Args:
        seeds: The seeds of the samples.
    """

    def __init__(self, seeds: Seeds) -> None:
        self._state = seeds

    def __len__(self) -> int:
        return len(self._state)

    def seeds(self) -> Seeds:
        """The next hash of each sample, which may seed another generator."""
        self._state = _hash(self._state)
        return self._state

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Tensor:
        """A number in low..high of each sample, float32 (B,)."""
        import torch

        fractions = (self.seeds() >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)
        return torch.from_numpy(fractions) * (high - low) + low

    def integers(self, limit: int) -> Tensor:
        """A whole number from 0 up to, without, ``limit`` of each sample, int64 (B,)."""
        return (self.uniform() * limit).long().clamp_(max=limit - 1)


@contextmanager
def preserved_random_state() -> Iterator[None]:
    """Restore torch's random state after the context."""
    import torch

    state = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(state)


@contextmanager
def preserved_generators() -> Iterator[None]:
    """Restore the random states of Python, NumPy and torch after the context, from which a person's code may draw."""
    python, legacy = random.getstate(), np.random.get_state()
    try:
        with preserved_random_state():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)


def manual_seed(seed: Any) -> None:
    """Seed torch's default generator on the CPU for one sample."""
    import torch

    torch.default_generator.manual_seed(int(seed) >> 1)


def _hash(values: Any) -> Any:
    """SplitMix64 (Steele et al. 2014, figure 17), modulo 2**64."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))

"""The indices and seeds by which a reader reads a batch."""

import numpy as np

from visionkit.data.sample_seeds import sample_seeds
from visionkit.data.sampler import BatchIndices


def first_samples(count, *, seed=0):
    """The first samples of a split."""
    return BatchIndices(np.arange(count), seeds_of(count, seed=seed))


def seeds_of(count, *, seed=0):
    """The seeds of the first samples of a split."""
    return sample_seeds(seed, 0, np.arange(count))

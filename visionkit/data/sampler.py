"""The batches of an epoch as indices of samples, divided over the processes of a distributed run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from visionkit.data.sample_seeds import Seeds, mix_seed, sample_seeds
from visionkit.errors import UserError

__all__ = ["BatchSampler", "BatchIndices", "check_batch_size"]


class BatchIndices(NamedTuple):
    """What a batch is read by.

    Attributes:
        indices: Those of its samples in the split, int64 (B,).
        seeds: The seeds of their augmentation, (B,).
        progress: The share of all epochs that lie behind this one, 0 where their number is unknown.
    """

    indices: NDArray[np.int64]
    seeds: Seeds
    progress: float = 0.0


def check_batch_size(batch_size: int, world_size: int) -> None:
    """Check that the global batch size is a multiple of the number of processes.

    Raises:
        UserError: If it is not; the message names the nearest multiples.
    """
    if batch_size % world_size == 0:
        return
    below = batch_size // world_size * world_size
    sizes = [size for size in (below, below + world_size) if size]
    raise UserError(
        f"recipe.batch_size: {batch_size} images cannot be shared equally by {world_size} processes. "
        f"The nearest that can: {' and '.join(map(str, sizes))}. Try: recipe.batch_size={sizes[-1]}"
    )


class BatchSampler(Sampler[BatchIndices]):
    """Yields the `BatchIndices` of one process for each batch of an epoch.

    Training batches are shuffled each epoch and are all full: the ``N mod batch_size`` samples that the shuffle puts
    last wait for another epoch. They are the same on any number of processes, which interleave the samples of each
    global batch. A split smaller than a batch gives one batch, of as many samples as the processes divide equally.

    With ``balance`` each class has as many samples in an epoch as any other, give or take one: a part of a large
    class, in turn by a new shuffle, and all of a small class several times, each time augmented otherwise.

    Evaluation uses each sample exactly once, in order; processes may have different numbers of batches.

    Args:
        num_samples: The number of samples of the split.
        batch_size: The global batch size, over all processes.
        training: Whether to shuffle, and to leave out what makes no full batch.
        seed: The seed of shuffling and augmentation.
        rank: The rank of this process.
        world_size: The number of processes.
        balance: The class id of each sample, int64 (N,), to draw classes alike in training; None draws samples alike.
        epochs: The number of epochs of the run; None if unknown.

    Attributes:
        local_batch_size: The samples of one process in a full batch.

    Raises:
        UserError: If the training batch size is no multiple of ``world_size``, or there are fewer samples than that.
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        *,
        training: bool,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        balance: Tensor | None = None,
        epochs: int | None = None,
    ) -> None:
        self.epochs = epochs
        self.num_samples, self.batch_size, self.training, self.seed = num_samples, batch_size, training, seed
        self.rank, self.world_size = rank, world_size
        self._members = None if balance is None else _class_members(balance)
        self.local_batch_size = math.ceil(batch_size / world_size)
        self.epoch = self.start = 0
        if not training:
            return
        check_batch_size(batch_size, world_size)
        self.local_batch_size = min(batch_size, num_samples) // world_size
        if not self.local_batch_size:
            raise UserError(
                f"the training split has {num_samples} images for {world_size} processes, and each needs one. "
                f"Try: hardware.devices={max(num_samples, 1)}"
            )

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration, as Lightning does; else each iteration is the next epoch."""
        self.epoch = epoch

    def start_at(self, position: int) -> None:
        """Start the next iteration at this batch, skipping those that an interrupted run has seen."""
        self.start = position

    def __len__(self) -> int:
        if self.training:
            return max(1, self.num_samples // self.batch_size)
        return math.ceil(len(range(self.rank, self.num_samples, self.world_size)) / self.local_batch_size)

    def __iter__(self) -> Iterator[BatchIndices]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        start, self.start = self.start, 0
        local = self._local_draws(epoch)
        for position in range(start, len(self)):
            draws = local[position * self.local_batch_size : (position + 1) * self.local_batch_size]
            seeds = sample_seeds(self.seed, epoch, draws)
            yield BatchIndices(draws % self.num_samples, seeds, epoch / self.epochs if self.epochs else 0.0)

    def _local_draws(self, epoch: int) -> NDArray[np.int64]:
        """The samples of this process in an epoch, batch after batch: index + num_samples * earlier uses of it."""
        if not self.training:
            return np.arange(self.rank, self.num_samples, self.world_size)
        generator = torch.Generator().manual_seed(mix_seed(self.seed, epoch))
        count = len(self) * self.local_batch_size * self.world_size
        if self._members is None:
            order = torch.randperm(self.num_samples, generator=generator)[:count]
        else:
            order = _balanced_draws(self._members, count, self.num_samples, generator)
        local: NDArray[np.int64] = order.view(-1, self.world_size)[:, self.rank].numpy()
        return local


def _class_members(labels: Tensor) -> tuple[Tensor, ...]:
    """The samples of each class that has any, int64."""
    counts = labels.bincount()
    return torch.split(labels.argsort(stable=True), counts[counts > 0].tolist())


def _balanced_draws(members: Sequence[Tensor], count: int, num_samples: int, generator: torch.Generator) -> Tensor:
    """``count`` draws, as many of each class give or take one, in random order; see `BatchSampler._local_draws`."""
    quotas = torch.full((len(members),), count // len(members))
    quotas[torch.randperm(len(members), generator=generator)[: count % len(members)]] += 1
    draws = []
    for indices, quota in zip(members, quotas.tolist(), strict=True):
        for use, start in enumerate(range(0, quota, len(indices))):
            shuffled = indices[torch.randperm(len(indices), generator=generator)]
            draws.append(shuffled[: quota - start] + use * num_samples)
    order = torch.cat(draws)
    return order[torch.randperm(count, generator=generator)]

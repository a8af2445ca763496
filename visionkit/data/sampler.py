"""The batches of an epoch as indices of samples, divided over the processes of a distributed run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Sampler

from visionkit.errors import UserError

__all__ = ["BatchSampler", "BatchIndices", "check_batch_size"]

BatchIndices = tuple[Any, int]
"""The indices of a batch's samples in the split, a numpy int64 (B,), and the seed of its augmentation."""


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

    Training batches are shuffled each epoch and are the same on any number of processes, which interleave the samples
    of each global batch. A last batch of one sample, on which batch norm fails, is merged with the previous one. If
    the last batch has fewer than two samples per process, as many processes as possible get two, the others an empty
    batch. Evaluation uses each sample exactly once; a single process keeps their order. All processes have the same
    number of batches.

    Args:
        num_samples: The number of samples of the split.
        batch_size: The global batch size, over all processes.
        training: Whether to shuffle.
        seed: The seed of shuffling and augmentation.
        rank: The rank of this process.
        world_size: The number of processes.

    Attributes:
        local_batch_size: The samples of one process in a full batch.

    Raises:
        UserError: If the training batch size is no multiple of ``world_size``.
    """

    def __init__(
        self, num_samples: int, batch_size: int, *, training: bool, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.num_samples, self.batch_size, self.training, self.seed = num_samples, batch_size, training, seed
        self.rank, self.world_size = rank, world_size
        self.local_batch_size = math.ceil(batch_size / world_size)
        self.epoch = self.start = 0
        if training:
            check_batch_size(batch_size, world_size)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration, as Lightning does; else each iteration is the next epoch."""
        self.epoch = epoch

    def start_at(self, position: int) -> None:
        """Start the next iteration at this batch, skipping those that an interrupted run has seen."""
        self.start = position

    def __len__(self) -> int:
        if not self.training:
            return math.ceil(math.ceil(self.num_samples / self.world_size) / self.local_batch_size)
        num_full, remainder = divmod(self.num_samples, self.batch_size)
        return num_full + 1 if remainder > 1 or (remainder and not num_full) else num_full

    def global_batch_size(self, position: int) -> int:
        """The number of samples of a training batch over all processes; ``position`` counts batches from 0."""
        return self.batch_size if position < len(self) - 1 else self.num_samples - position * self.batch_size

    def __iter__(self) -> Iterator[BatchIndices]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        start, self.start = self.start, 0
        for position, indices in enumerate(self._batches(epoch)[start:], start=start):
            yield indices.numpy(), _mix_seed(self.seed, epoch, self.rank, position)

    def _batches(self, epoch: int) -> list[Tensor]:
        if self.training:
            generator = torch.Generator().manual_seed(_mix_seed(self.seed, epoch))
            batches = list(torch.split(torch.randperm(self.num_samples, generator=generator), self.batch_size))
            if len(batches) > len(self):
                batches[-2:] = [torch.cat(batches[-2:])]
            return [self._local_part(batch) for batch in batches]
        local = torch.arange(self.rank, self.num_samples, self.world_size)
        batches = list(torch.split(local, self.local_batch_size)) if len(local) else []
        return batches + [local[:0]] * (len(self) - len(batches))

    def _local_part(self, batch: Tensor) -> Tensor:
        """The samples of this process in a training batch."""
        num_sharing = min(self.world_size, max(1, len(batch) // min(2, self.local_batch_size)))
        return batch[self.rank :: num_sharing] if self.rank < num_sharing else batch[:0]


def _mix_seed(*numbers: int) -> int:
    """Hash numbers to one seed, with Knuth's MMIX linear congruential generator modulo 2**63."""
    seed = 0
    for number in numbers:
        seed = (seed * 6364136223846793005 + number + 1442695040888963407) % 2**63
    return seed

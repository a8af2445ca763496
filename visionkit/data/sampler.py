"""The order of an epoch: which samples come in which batch, and which of them belong to which process."""

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
"""The positions of a batch in its split, int64 (B,) numpy, and the seed of its random changes."""


def check_batch_size(batch_size: int, world_size: int) -> None:
    """Make sure that processes can share a global batch equally.

    Raises:
        UserError: If they cannot; the message names the two nearest sizes that they can.
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
    """Which samples come in which batch of an epoch.

    Training batches are drawn anew each epoch and are the same ones on any number of processes, which share each of
    them sample by sample. A last batch of one sample, on which batch norm fails, joins the batch before; one that is
    too short to give each process two is shared by as many as can have two, and the others have an empty batch.
    Evaluation takes each sample once; alone, in order. All processes have the same number of batches.

    Args:
        size: How many samples there are.
        batch_size: Of all processes together.
        training: Whether to shuffle.
        seed: Of the shuffling and of the augmentation.
        rank: This process.
        world_size: How many processes there are.

    Attributes:
        share: Samples of a process in a whole batch.

    Raises:
        UserError: If training batches cannot be shared equally.
    """

    def __init__(
        self, size: int, batch_size: int, *, training: bool, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.size, self.batch_size, self.training, self.seed = size, batch_size, training, seed
        self.rank, self.world_size = rank, world_size
        self.share = math.ceil(batch_size / world_size)
        self.epoch = self.first = 0
        if training:
            check_batch_size(batch_size, world_size)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next; Lightning does. Without it, each pass is the next epoch."""
        self.epoch = epoch

    def start_at(self, batch: int) -> None:
        """Leave out the first batches of the next pass, which an interrupted run has seen."""
        self.first = batch

    def __len__(self) -> int:
        if not self.training:
            return math.ceil(math.ceil(self.size / self.world_size) / self.share)
        whole, rest = divmod(self.size, self.batch_size)
        return whole + 1 if rest > 1 or (rest and not whole) else whole

    def whole(self, number: int) -> int:
        """How many samples all processes together have in a training batch, counted from 0."""
        return self.batch_size if number < len(self) - 1 else self.size - number * self.batch_size

    def __iter__(self) -> Iterator[BatchIndices]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        first, self.first = self.first, 0
        for number, positions in enumerate(self._batches(epoch)[first:], start=first):
            yield positions.numpy(), _mix(self.seed, epoch, self.rank, number)

    def _batches(self, epoch: int) -> list[Tensor]:
        if self.training:
            generator = torch.Generator().manual_seed(_mix(self.seed, epoch))
            batches = list(torch.split(torch.randperm(self.size, generator=generator), self.batch_size))
            if len(batches) > len(self):
                batches[-2:] = [torch.cat(batches[-2:])]
            return [self._part(batch) for batch in batches]
        mine = torch.arange(self.rank, self.size, self.world_size)
        batches = list(torch.split(mine, self.share)) if len(mine) else []
        return batches + [mine[:0]] * (len(self) - len(batches))

    def _part(self, batch: Tensor) -> Tensor:
        """What this process has of a training batch."""
        sharers = min(self.world_size, max(1, len(batch) // min(2, self.share)))
        return batch[self.rank :: sharers] if self.rank < sharers else batch[:0]


def _mix(*numbers: int) -> int:
    """One seed out of several numbers."""
    seed = 0
    for number in numbers:
        seed = (seed * 6364136223846793005 + number + 1442695040888963407) % 2**63
    return seed

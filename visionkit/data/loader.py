"""The loader of a split: a `BatchSampler` selects the images of each batch, a `BatchReader` reads them.

The sampler also gives the seed of each batch's augmentation, so a run has the same batches with any number of workers
and after it is resumed.
"""

from __future__ import annotations

import multiprocessing
import weakref
from collections.abc import Iterator
from multiprocessing.util import get_temp_dir
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from visionkit.data.collate.base import BatchReader
from visionkit.data.sampler import BatchIndices, BatchSampler
from visionkit.data.shared_memory import SharedPickle
from visionkit.data.workers import watch_workers
from visionkit.distributed.comm import all_reduce_max
from visionkit.errors import UserError

__all__ = ["BatchLoader"]


class BatchLoader:
    """The batches of a split; each iteration is one epoch.

    Training batches are full, see `BatchSampler` and `BatchReader`; in evaluation unreadable images are left out.

    Lightning saves `state_dict` in its checkpoints: a run that was stopped within an epoch continues with the
    remaining batches.

    Args:
        reader: Reads a batch.
        sampler: Selects the images of each batch.
        num_workers: The number of worker processes; 0 reads batches in this process, without a `DataLoader`.
        pin_memory: Whether batches are copied to pinned memory.
        split: The name of the split, for an error message.
        start_method: How workers are started: ``fork``, ``spawn`` or ``forkserver``; None takes what `multiprocessing`
            is set to, or else the platform's default.
    """

    def __init__(
        self,
        reader: BatchReader,
        sampler: BatchSampler,
        *,
        num_workers: int = 0,
        pin_memory: bool = False,
        split: str,
        start_method: str | None = None,
    ) -> None:
        self.reader, self.num_workers, self.pin_memory, self.split = reader, num_workers, pin_memory, split
        self.start_method = start_method
        self.sampler = sampler  # Lightning calls its set_epoch
        self.batch_size = sampler.batch_size
        self.batch_sampler = None  # Lightning looks for one
        self._workers: DataLoader[Any] | None = None
        self._state = {"epoch": 0, "batches": 0}
        self._resumed: dict[str, int] | None = None
        self.num_yielded = 0

    def __len__(self) -> int:
        # Of a process without a sample Lightning would skip the evaluation, in which processes exchange their counts.
        return max(1, len(self.sampler))

    def state_dict(self) -> dict[str, int]:
        """The current epoch, and how many of its batches have been yielded."""
        return dict(self._state)

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Skip the batches that were already yielded, if the next iteration is the same epoch."""
        self._resumed = dict(state_dict)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        resumed, self._resumed = self._resumed, None
        epoch = self.sampler.epoch
        start = resumed["batches"] if resumed is not None and resumed["epoch"] == epoch else 0
        self._state, self.num_yielded = {"epoch": epoch, "batches": start}, 0
        self.sampler.start_at(start)
        any_read = start > 0
        for batch in self._iterate_workers() if self.num_workers else self._iterate_in_process():
            self._state["batches"] += 1
            if len(batch["index"]):  # in evaluation, what cannot be read is left out
                any_read = True
                self.num_yielded += 1
                yield batch
        if not any_read and self.sampler.world_size == 1:
            raise self.reader.nothing_readable(self.split)

    def sync_unreadable(self) -> None:
        """Merge what processes have found to be unreadable, at the end of an epoch.

        Raises:
            UserError: In all processes, if no image of the split can be read.
        """
        unreadable = self.reader.unreadable
        if len(unreadable):
            all_reduce_max(unreadable)
        if len(unreadable) and bool(unreadable.all()):
            raise self.reader.nothing_readable(self.split)

    def _iterate_in_process(self) -> Iterator[dict[str, Tensor]]:
        for indices in self.sampler:
            batch = self.reader.read(indices)
            yield {key: value.pin_memory() for key, value in batch.items()} if self.pin_memory else batch

    def _iterate_workers(self) -> Iterator[dict[str, Tensor]]:
        if self._workers is None:
            method = self.start_method or _default_start_method()
            self.reader.share()
            get_temp_dir()  # of this process, which removes it; the workers would each make one and leave it behind
            self._workers = DataLoader(
                _BatchDataset(self.reader) if method == "fork" else _PickledBatchDataset(self.reader),
                batch_size=None,
                sampler=self.sampler,
                num_workers=self.num_workers,
                collate_fn=_identity,
                pin_memory=self.pin_memory,
                persistent_workers=True,
                multiprocessing_context=method,
                generator=torch.Generator().manual_seed(self.sampler.seed % 2**63),
            )
            # Garbage in a cycle (a trainer) has its queues closed before torch can stop the workers, for each of which
            # it then waits 5 s. This reference keeps the queues open until the loader itself is gone.
            weakref.finalize(self, _release, self._workers)
        starts_afresh = isinstance(self._workers.dataset, _PickledBatchDataset)
        for batch in watch_workers(self._workers, self.reader, self.split, starts_afresh=starts_afresh):
            if isinstance(batch, str):
                raise UserError(batch)
            yield batch


class _BatchDataset(Dataset[Any]):
    """The dataset of the workers; a `UserError` is returned as its message, without the worker's traceback."""

    def __init__(self, reader: BatchReader) -> None:
        self.reader = reader

    def __getitem__(self, indices: BatchIndices) -> dict[str, Tensor] | str:
        try:
            return self.reader.read(indices)
        except UserError as error:
            return str(error)
        finally:
            self.reader.progress += 1


class _PickledBatchDataset(_BatchDataset):
    """The dataset of workers that do not begin as a copy of this process.

    Raises:
        UserError: If the reader cannot be pickled, or shared memory is too small.
    """

    def __init__(self, reader: BatchReader) -> None:
        super().__init__(reader)
        self._shared = SharedPickle(reader)

    def __getstate__(self) -> SharedPickle[BatchReader]:
        return self._shared

    def __setstate__(self, shared: SharedPickle[BatchReader]) -> None:
        self.reader = shared.load()
        self.reader.progress += 1


def _default_start_method() -> str:
    """What a user has set, or the platform's default, which comes first; asking must not set it."""
    return multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]


def _identity(batch: Any) -> Any:
    return batch


def _release(workers: DataLoader[Any]) -> None:
    """Does nothing: the reference to the workers goes with the call."""

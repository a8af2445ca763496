"""From samples to batches: the making of a batch, and the loader that joins it with the order of an epoch.

Whoever makes a batch, this process or a worker, gets its positions and its seed from the order, so that a run gives
the same batches with any number of workers, and after being resumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from visionkit.data.collate.classification import BatchReader
from visionkit.data.sampler import BatchIndices, BatchSampler
from visionkit.distributed.comm import all_reduce_max, all_reduce_sum
from visionkit.errors import UserError

__all__ = ["BatchLoader", "choose_num_workers"]


class BatchLoader:
    """The batches of a split; each pass is one epoch.

    Of several processes each has as many batches as the order says, whatever its files are like: where none of a
    batch can be read, `BatchReader.filler` takes its place. Alone, a process leaves such a batch out. Parts of training
    batches have a ``weight``, float32 (): the mean over the processes of their weighted mean losses is the mean over
    the samples of the whole batch.

    Lightning keeps `state_dict` in its checkpoints: a run that was stopped within an epoch goes on with the batches
    it has not seen.

    Args:
        reader: Makes a batch.
        order: Says which.
        num_workers: Processes that make batches beforehand; 0 makes them here, without a `DataLoader`.
        pin_memory: Whether batches are laid where a GPU fetches them faster.
        split: Its name, for a message.
    """

    def __init__(
        self, reader: BatchReader, order: BatchSampler, *, num_workers: int = 0, pin_memory: bool = False, split: str
    ) -> None:
        self.reader, self.num_workers, self.pin_memory, self.split = reader, num_workers, pin_memory, split
        self.sampler = order  # Lightning calls its set_epoch
        self.batch_size = order.batch_size
        self.batch_sampler = None  # Lightning looks for one
        self._workers: DataLoader[Any] | None = None
        self._state = {"epoch": 0, "batches": 0}
        self._loaded: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self.sampler)

    def state_dict(self) -> dict[str, int]:
        """The newest epoch, and how many of its batches have been handed out."""
        return dict(self._state)

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Let the next pass leave out what was handed out, if it is the pass of the same epoch."""
        self._loaded = dict(state_dict)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        loaded, self._loaded = self._loaded, None
        epoch = self.sampler.epoch
        first = loaded["batches"] if loaded is not None and loaded["epoch"] == epoch else 0
        self._state = {"epoch": epoch, "batches": first}
        self.sampler.start_at(first)
        seen = first > 0
        for number, batch in enumerate(self._from_workers() if self.num_workers else self._from_here(), start=first):
            self._state["batches"] += 1
            counts = self._counts(batch)
            seen = seen or counts
            if number == len(self) - 1 and len(self.reader.broken):
                self._share_what_is_broken(seen)
            if self.sampler.world_size > 1:
                batch = batch if counts else self.reader.filler()
                yield batch | self._weight(len(batch["index"]), number) if self.sampler.training else batch
            elif counts:
                yield batch

    def _counts(self, batch: dict[str, Tensor]) -> bool:
        """Whether anything is left of a batch; a single image, on which batch norm fails, is no rest to train on."""
        size = len(batch["index"])
        is_rest = self.sampler.training and self.sampler.share > 1 and bool(self.reader.broken.any())
        return size > 1 or (size == 1 and not is_rest)

    def _weight(self, here: int, number: int) -> dict[str, Tensor]:
        """What the loss of a training batch is to be multiplied by, one of several processes' parts as it is."""
        whole = all_reduce_sum([here])[0] if len(self.reader.broken) else self.sampler.whole(number)
        return {"weight": torch.tensor(here * self.sampler.world_size / max(whole, 1))}

    def _share_what_is_broken(self, seen: bool) -> None:
        """At the last batch, when each process knows its own broken files, make all of them known to all.

        Raises:
            UserError: In all processes, if no image of the split has been read in any of them.
        """
        all_reduce_max(self.reader.broken)
        if all_reduce_sum([int(seen)]) == [0]:
            raise UserError(
                f"none of the {self.sampler.size} images of the {self.split} split can be read, the first of them "
                f"'{self.reader.samples.name(0)}'. Expected JPEG, PNG, BMP, GIF, TIFF or WebP files."
            )

    def _from_here(self) -> Iterator[dict[str, Tensor]]:
        for plan in self.sampler:
            batch = self.reader.read(plan)
            yield {key: value.pin_memory() for key, value in batch.items()} if self.pin_memory else batch

    def _from_workers(self) -> Iterator[dict[str, Tensor]]:
        if self._workers is None:
            self.reader.share()
            self._workers = DataLoader(
                _Batches(self.reader),
                batch_size=None,
                sampler=self.sampler,
                num_workers=self.num_workers,
                collate_fn=_as_it_is,
                pin_memory=self.pin_memory,
                persistent_workers=True,
                generator=torch.Generator().manual_seed(self.sampler.seed % 2**63),
            )
        for batch in self._workers:
            if isinstance(batch, str):
                raise UserError(batch)
            yield batch


class _Batches(Dataset[Any]):
    """What a worker runs; a mistake of the user's travels as its message, without the worker's traceback."""

    def __init__(self, reader: BatchReader) -> None:
        self.reader = reader

    def __getitem__(self, plan: BatchIndices) -> dict[str, Tensor] | str:
        try:
            return self.reader.read(plan)
        except UserError as error:
            return str(error)


def _as_it_is(batch: Any) -> Any:
    return batch


def choose_num_workers(reader: BatchReader, *, cores: int, on_gpu: bool) -> int:
    """None for images in memory, unless a GPU would wait for their random changes.

    Args:
        reader: Makes the batches.
        cores: Those that this process may use.
        on_gpu: Whether the model computes on a GPU.
    """
    if not reader.in_memory:
        return max(1, min(8, cores))
    if reader.augment is not None and on_gpu:
        return max(0, min(4, cores - 1))
    return 0

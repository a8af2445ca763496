"""From samples to batches: the order of an epoch, the making of a batch, and the loader that joins them.

Whoever makes a batch, this process or a worker, gets its positions and its seed from the order, so that a run gives
the same batches with any number of workers, and after being resumed.
"""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from visionkit.data.augment import Augment
from visionkit.data.memory import Decoded
from visionkit.data.samples import Samples, TensorSamples
from visionkit.data.transforms import Preprocess
from visionkit.errors import UserError

__all__ = ["BatchOrder", "BatchReader", "Loader"]

Plan = tuple[Any, int]
"""The positions of a batch in its split, int64 (B,) numpy, and the seed of its random changes."""


class BatchOrder(Sampler[Plan]):
    """Which samples come in which batch of an epoch.

    Training batches are drawn anew each epoch; a last batch of one sample, on which batch norm fails, joins the batch
    before. Evaluation takes each sample once, in order. Among several processes each gets its share and all the
    same number of batches: training leaves out what does not divide (other samples each epoch); evaluation repeats
    one sample only where a process would have an empty batch.

    Args:
        size: How many samples there are.
        batch_size: Per process.
        training: Whether to shuffle.
        seed: Of the shuffling and of the augmentation.
        rank: This process.
        world_size: How many processes there are.
    """

    def __init__(
        self, size: int, batch_size: int, *, training: bool, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.size, self.batch_size, self.training, self.seed = size, batch_size, training, seed
        self.rank, self.world_size = rank, world_size
        self.epoch = self.first = 0
        if training and size < world_size:
            raise UserError(
                f"{size} training samples are too few for {world_size} processes, which need one each. "
                "Try: hardware.devices=1"
            )

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next; Lightning does. Without it, each pass is the next epoch."""
        self.epoch = epoch

    def start_at(self, batch: int) -> None:
        """Leave out the first batches of the next pass, which an interrupted run has seen."""
        self.first = batch

    def __len__(self) -> int:
        if self.training:
            share = self.size // self.world_size
            count = math.ceil(share / self.batch_size)
            return count - 1 if count > 1 and self.batch_size > 1 and share % self.batch_size == 1 else count
        return math.ceil(math.ceil(self.size / self.world_size) / self.batch_size)

    def __iter__(self) -> Iterator[Plan]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        first, self.first = self.first, 0
        for number, positions in enumerate(self._batches(epoch)[first:], start=first):
            yield positions.numpy(), _mix(self.seed, epoch, self.rank, number)

    def _batches(self, epoch: int) -> list[Tensor]:
        if self.training:
            generator = torch.Generator().manual_seed(_mix(self.seed, epoch))
            share = self.size // self.world_size
            mine = torch.randperm(self.size, generator=generator)[self.rank :: self.world_size][:share]
            batches = list(torch.split(mine, self.batch_size))
            if len(batches) > len(self):
                batches[-2:] = [torch.cat(batches[-2:])]
            return batches
        mine = torch.arange(self.rank, self.size, self.world_size)
        count = len(self)
        if self.world_size == 1 or not count:
            return list(torch.split(mine, self.batch_size)) if count else []
        if len(mine) < count:
            mine = torch.cat([mine, torch.full((count - len(mine),), self.size - 1)])
        return list(mine.tensor_split(count))


class BatchReader:
    """Makes one batch of a split.

    Args:
        samples: The split.
        preprocess: Applied where the images are not prepared yet.
        augment: Random changes; None or empty for evaluation.
        decoded: The images, where they were decoded beforehand.
        prepared: Whether ``decoded`` holds preprocessed images.
        target: The key of the labels in a batch.
        strict: Whether an unreadable image ends the run.
    """

    def __init__(
        self,
        samples: Samples,
        preprocess: Preprocess,
        *,
        augment: Augment | None = None,
        decoded: Decoded | None = None,
        prepared: bool = False,
        target: str = "label",
        strict: bool = False,
    ) -> None:
        self.samples, self.preprocess, self.decoded = samples, preprocess, decoded
        self.prepared, self.target, self.strict = prepared, target, strict
        self.augment = augment or None
        self.broken = torch.zeros(0 if self.in_memory else len(samples), dtype=torch.uint8)

    @property
    def in_memory(self) -> bool:
        """Whether no file has to be opened for a batch."""
        return self.decoded is not None or isinstance(self.samples, TensorSamples)

    def share(self) -> None:
        """Make ready for workers: what they mark is seen here, and those not forked find the images."""
        if len(self.broken):
            self.broken.share_memory_()  # type: ignore[no-untyped-call]
        if multiprocessing.get_start_method() == "fork":
            return  # forked workers see all memory; shared memory is often small
        if self.decoded is not None:
            self.decoded.share()
        elif isinstance(self.samples, TensorSamples):
            self.samples.images.share_memory_()  # type: ignore[no-untyped-call]

    def read(self, plan: Plan) -> dict[str, Tensor]:
        """Make a batch.

        Args:
            plan: Positions in the split and a seed.

        Returns:
            ``images`` uint8 (B, C, H, W), the labels int64 (B,) and ``index`` int64 (B,), the positions. Images that
            cannot be read are missing and marked in ``broken``.

        Raises:
            UserError: If an image cannot be read and ``strict`` is set.
        """
        indices, seed = torch.from_numpy(plan[0]), plan[1]
        images: Tensor | list[Tensor]
        if isinstance(self.samples, TensorSamples):
            images = self.samples.batch(indices)
        elif self.decoded is not None and self.decoded.shapes is None:
            images = self.decoded.images.index_select(0, indices)
        elif self.decoded is not None:
            images = [self.decoded.image(int(index)) for index in indices]
        else:
            images, indices = self._from_files(indices)
        if self.augment is not None and self.augment.wants_original and not self.prepared:
            batch = self.augment(images, seed=seed) if len(images) else self._nothing()
        else:
            batch = self._prepare(images)
            if self.augment is not None and len(batch):
                batch = self.augment(batch, seed=seed)
        return {"images": batch, self.target: self.samples.labels[indices], "index": indices}

    def _prepare(self, images: Tensor | list[Tensor]) -> Tensor:
        if isinstance(images, Tensor):
            return images if self.prepared else self.preprocess(images)
        return torch.stack([self.preprocess(image) for image in images]) if images else self._nothing()

    def _nothing(self) -> Tensor:
        return torch.empty((0, 1, *self.preprocess.image_size), dtype=torch.uint8)

    def _from_files(self, indices: Tensor) -> tuple[list[Tensor], Tensor]:
        images, good = [], []
        for index in indices.tolist():
            try:
                images.append(self.samples.image(index))
                good.append(index)
            except UserError as error:
                if self.strict:
                    raise UserError(f"{error} Or leave out what cannot be read: strict=false") from None
                self.broken[index] = 1
        return images, torch.tensor(good, dtype=torch.int64)


class Loader:
    """The batches of a split; each pass is one epoch.

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
        self, reader: BatchReader, order: BatchOrder, *, num_workers: int = 0, pin_memory: bool = False, split: str
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
        nothing = not first
        for batch in self._from_workers() if self.num_workers else self._from_here():
            self._state["batches"] += 1
            size = len(batch["index"])
            if size == 0 or (size == 1 and self.sampler.training and self.reader.broken.any()):
                continue  # what is left of a batch of unreadable files
            nothing = False
            yield batch
        if nothing and len(self):
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

    def __getitem__(self, plan: Plan) -> dict[str, Tensor] | str:
        try:
            return self.reader.read(plan)
        except UserError as error:
            return str(error)


def _as_it_is(batch: Any) -> Any:
    return batch


def _mix(*numbers: int) -> int:
    """One seed out of several numbers."""
    seed = 0
    for number in numbers:
        seed = (seed * 6364136223846793005 + number + 1442695040888963407) % 2**63
    return seed

"""From samples to batches: the making of a batch, and the loader that joins it with the order of an epoch.

Whoever makes a batch, this process or a worker, gets its positions and its seed from the order, so that a run gives
the same batches with any number of workers, and after being resumed.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from visionkit.data.augment import Augment
from visionkit.data.memory import Decoded
from visionkit.data.order import BatchOrder, Plan
from visionkit.data.samples import Samples, TensorSamples
from visionkit.data.transforms import Preprocess
from visionkit.errors import UserError

__all__ = ["BatchReader", "Loader"]


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
        if not len(plan[0]):
            return self.filler()
        images, indices = self._fetch(torch.from_numpy(plan[0]))
        seed = plan[1]
        if self.augment is not None and self.augment.wants_original and not self.prepared:
            batch = self.augment(images, seed=seed) if len(images) else self._nothing()
        else:
            batch = self._prepare(images)
            if self.augment is not None and len(batch):
                batch = self.augment(batch, seed=seed)
        return {"images": batch, self.target: self.samples.labels[indices], "index": indices}

    def filler(self) -> dict[str, Tensor]:
        """Two black images that stand for no sample, as the empty ``index`` says.

        A process takes part in a step with them where it has no image of its own, so that the others do not wait.
        """
        images = torch.zeros((2, self.samples.in_channels, *self.preprocess.image_size), dtype=torch.uint8)
        labels = self.samples.labels.new_zeros((2, *self.samples.labels.shape[1:]))
        return {"images": images, self.target: labels, "index": torch.empty(0, dtype=torch.int64)}

    def _fetch(self, indices: Tensor) -> tuple[Tensor | list[Tensor], Tensor]:
        """Images as they lie in memory or in files, and the positions of those that can be read."""
        if isinstance(self.samples, TensorSamples):
            return self.samples.batch(indices), indices
        if self.decoded is not None and self.decoded.shapes is None:
            return self.decoded.images.index_select(0, indices), indices
        if self.decoded is not None:
            return [self.decoded.image(int(index)) for index in indices], indices
        return self._from_files(indices)

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
            if self.sampler.world_size > 1:
                nothing = nothing and not size
                yield batch if size else self.reader.filler()
                continue
            if size == 0 or (size == 1 and self.sampler.training and self.reader.broken.any()):
                continue  # what is left of a batch of unreadable files
            nothing = False
            yield batch
        if nothing and self.sampler.size > self.sampler.rank:
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

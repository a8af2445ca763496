"""Batches of images of one size with a class label each."""

from __future__ import annotations

import multiprocessing

import torch
from torch import Tensor

from visionkit.data.augment.image import Augment
from visionkit.data.cache import ImageCache
from visionkit.data.dataset import ImageDataset, TensorDataset
from visionkit.data.sampler import BatchIndices
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError

__all__ = ["BatchReader"]


class BatchReader:
    """Reads batches of a split.

    Args:
        samples: The split.
        transform: Preprocesses the images, unless they are ``prepared``.
        augment: The augmentation; None or empty for evaluation.
        cache: The decoded images of the split; None where they are decoded on demand.
        prepared: Whether ``cache`` holds preprocessed images.
        target: The key of the labels in a batch.
        strict: Whether an unreadable image is an error.

    Attributes:
        unreadable: uint8 (N,), 1 for images that could not be read, in shared memory after `share`; (0,) if no file
            is opened.
    """

    def __init__(
        self,
        samples: ImageDataset,
        transform: InputTransform,
        *,
        augment: Augment | None = None,
        cache: ImageCache | None = None,
        prepared: bool = False,
        target: str = "label",
        strict: bool = False,
    ) -> None:
        self.samples, self.transform, self.cache = samples, transform, cache
        self.prepared, self.target, self.strict = prepared, target, strict
        self.augment = augment or None
        self.unreadable = torch.zeros(0 if self.in_memory else len(samples), dtype=torch.uint8)

    @property
    def in_memory(self) -> bool:
        """Whether the images are in memory, so that no file is opened."""
        return self.cache is not None or isinstance(self.samples, TensorDataset)

    def share(self) -> None:
        """Move ``unreadable``, which workers write, to shared memory; the images too, if workers are spawned."""
        if len(self.unreadable):
            self.unreadable.share_memory_()  # type: ignore[no-untyped-call]
        if multiprocessing.get_start_method() == "fork":
            return  # forked workers see the images, and shared memory is often small
        if self.cache is not None:
            self.cache.share()
        elif isinstance(self.samples, TensorDataset):
            self.samples.images.share_memory_()  # type: ignore[no-untyped-call]

    def read(self, batch_indices: BatchIndices) -> dict[str, Tensor]:
        """Read a batch, without unreadable images, which are marked in ``unreadable``.

        Args:
            batch_indices: Indices of samples in the split, and a seed.

        Returns:
            ``images`` uint8 (B, C, H, W), the labels int64 (B,) and ``index`` int64 (B,), the indices in the split.

        Raises:
            UserError: If an image cannot be read and ``strict`` is set.
        """
        if not len(batch_indices[0]):
            return self.dummy_batch()
        images, indices = self._fetch(torch.from_numpy(batch_indices[0]))
        seed = batch_indices[1]
        if self.augment is not None and self.augment.wants_original and not self.prepared:
            batch = self.augment(images, seed=seed) if len(images) else self._empty_batch()
        else:
            batch = self._prepare(images)
            if self.augment is not None and len(batch):
                batch = self.augment(batch, seed=seed)
        return {"images": batch, self.target: self.samples.labels[indices], "index": indices}

    def dummy_batch(self) -> dict[str, Tensor]:
        """Two black images with an empty ``index``, for a process without images in a distributed step.

        The task excludes them from loss, metrics and batch norm statistics.
        """
        images = torch.zeros((2, self.samples.in_channels, *self.transform.image_size), dtype=torch.uint8)
        labels = self.samples.labels.new_zeros((2, *self.samples.labels.shape[1:]))
        return {"images": images, self.target: labels, "index": torch.empty(0, dtype=torch.int64)}

    def _fetch(self, indices: Tensor) -> tuple[Tensor | list[Tensor], Tensor]:
        """The readable images, from memory or files, and their indices."""
        if isinstance(self.samples, TensorDataset):
            return self.samples.batch(indices), indices
        if self.cache is not None and self.cache.shapes is None:
            return self.cache.images.index_select(0, indices), indices
        if self.cache is not None:
            return [self.cache.image(int(index)) for index in indices], indices
        return self._from_files(indices)

    def _prepare(self, images: Tensor | list[Tensor]) -> Tensor:
        if isinstance(images, Tensor):
            return images if self.prepared else self.transform(images)
        return torch.stack([self.transform(image) for image in images]) if images else self._empty_batch()

    def _empty_batch(self) -> Tensor:
        return torch.empty((0, 1, *self.transform.image_size), dtype=torch.uint8)

    def _from_files(self, indices: Tensor) -> tuple[list[Tensor], Tensor]:
        images, readable = [], []
        for index in indices.tolist():
            try:
                images.append(self.samples.image(index))
                readable.append(index)
            except UserError as error:
                if self.strict:
                    raise UserError(f"{error} Or leave out what cannot be read: strict=false") from None
                self.unreadable[index] = 1
        return images, torch.tensor(readable, dtype=torch.int64)

"""Batches of images of one size with a class label, or a set of them, each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from visionkit.data.augment.image import Augment
from visionkit.data.augment.joint import JointAugment
from visionkit.data.augment.spec import AugmentSpec
from visionkit.data.cache import ImageCache
from visionkit.data.dataset import ImageDataset, TensorDataset
from visionkit.data.sample_seeds import Seeds
from visionkit.data.sampler import BatchIndices
from visionkit.data.transforms import InputTransform
from visionkit.errors import UserError

__all__ = ["BatchReader"]

T = TypeVar("T")


class BatchReader:
    """Reads batches of a split.

    Args:
        samples: The split, with a number per image.
        transform: Preprocesses the images, unless they are ``prepared``.
        augment: The augmentation; None or empty for evaluation.
        cache: The decoded images of the split; None where they are decoded on demand.
        prepared: Whether ``cache`` holds preprocessed images.
        target: The key of the labels in a batch.
        strict: Whether an unreadable image is an error.
        training: Whether an unreadable image is replaced by the next readable one of the split, for batches of
            training are full; else it is left out.

    Attributes:
        pads: Whether images of several sizes are padded to the size of a batch.
        unreadable: uint8 (N,), 1 for images that could not be read, in shared memory after `share`; (0,) if no file
            is opened.
        progress: int64 (1,), counts images and batches that were read, in shared memory after `share`.
    """

    pads: ClassVar[bool] = False

    def __init__(
        self,
        samples: ImageDataset,
        transform: InputTransform,
        *,
        augment: Augment | JointAugment | None = None,
        cache: ImageCache | None = None,
        prepared: bool = False,
        target: str = "label",
        strict: bool = False,
        training: bool = False,
    ) -> None:
        self.check_samples(samples)
        self.samples, self.transform, self.cache = samples, transform, cache
        self.prepared, self.target = prepared, target
        self.strict, self.training = strict, training
        self.augment: Any = augment or None
        self.progress = torch.zeros(1, dtype=torch.int64)
        self.unreadable = torch.zeros(len(samples) if self.opens_files else 0, dtype=torch.uint8)

    @classmethod
    def make_augment(cls, augment: Sequence[AugmentSpec], transform: InputTransform) -> Augment | JointAugment:
        """The augmentation of such batches.

        Raises:
            UserError: If torchvision refuses a value.
        """
        return Augment(augment, transform.image_size)

    @property
    def opens_files(self) -> bool:
        """Whether a file is opened for a sample, which may then be unreadable."""
        return not self.in_memory

    @staticmethod
    def check_samples(samples: ImageDataset) -> None:
        """Check that the samples have the kind of target that is read here.

        Raises:
            TypeError: If they have another.
        """
        if samples.annotations is not None or samples.masks is not None:
            raise TypeError("these samples have objects or masks. Expected the batch_reader of their kind of target.")

    @property
    def in_memory(self) -> bool:
        """Whether the images are in memory, so that no file is opened."""
        return self.cache is not None or isinstance(self.samples, TensorDataset)

    def share(self) -> None:
        """Move what workers write, ``unreadable`` and ``progress``, to shared memory."""
        self.progress.share_memory_()  # type: ignore[no-untyped-call]
        if len(self.unreadable):
            self.unreadable.share_memory_()  # type: ignore[no-untyped-call]

    def read(self, batch_indices: BatchIndices) -> dict[str, Tensor]:
        """Read a batch; unreadable images are marked in ``unreadable``, and replaced or left out.

        Args:
            batch_indices: Indices of samples in the split, their seeds, and the progress of the run.

        Returns:
            ``images`` uint8 or float32 (B, C, H, W), the labels int64 (B,) or label sets uint8 (B, K), and ``index``
            int64 (B,), the indices in the split.

        Raises:
            UserError: If an image cannot be read and ``strict`` is set, or none can that might replace it.
        """
        images, indices, seeds = self._fetch(batch_indices.indices, batch_indices.seeds)
        if self._wants_original and not self.prepared and len(images):
            batch = self.augment(images, seeds=seeds)
        else:
            batch = self._prepare(images)
            if self.augment is not None and len(batch):
                batch = self.augment(batch, seeds=seeds)
        return {"images": batch, self.target: self.samples.labels[indices], "index": indices}

    def nothing_readable(self, split: str = "train") -> UserError:
        """The error where no image of the split can be read; the first is read again for the reason."""
        start = f"none of the {len(self.samples)} images of the {split} split can be read, the first of them "
        try:
            self.samples.image(0)
        except UserError as error:
            failure = UserError(f"{start.removesuffix(' ')}: {error}")
            failure.__cause__ = error.__cause__
            return failure
        return UserError(
            f"{start}'{self.samples.name(0)}'. Expected images that can be read, with their targets, at any time."
        )

    @property
    def _wants_original(self) -> bool:
        """Whether images that lie in files are decoded at their full size, for an augmentation."""
        return self.augment is not None and bool(self.augment.wants_original)

    def _fetch(self, positions: Any, seeds: Seeds) -> tuple[Tensor | list[Tensor], Tensor, Seeds]:
        """The readable images, from memory or files, their indices and their seeds; those of files resized."""
        if not self.in_memory:
            if self._wants_original:
                return self._read_each(positions, seeds, self.samples.image)
            return self._read_each(positions, seeds, lambda i: self.samples.fitted(i, self.transform).pixels)
        indices = torch.from_numpy(positions)
        if isinstance(self.samples, TensorDataset):
            return self.samples.batch(indices), indices, seeds
        assert self.cache is not None
        if self.cache.shapes is None:
            return self.cache.images.index_select(0, indices), indices, seeds
        return [self.cache.image(int(index)) for index in indices], indices, seeds

    def _read_each(self, positions: Any, seeds: Seeds, load: Callable[[int], T]) -> tuple[list[T], Tensor, Seeds]:
        """What ``load`` gives for each readable sample, their indices and seeds."""
        values: list[T] = []
        indices, slots = [], []
        for slot, position in enumerate(positions.tolist()):
            found = self._first_readable(position, load)
            if found is not None:
                indices.append(found[0])
                values.append(found[1])
                slots.append(slot)
        return values, torch.tensor(indices, dtype=torch.int64), seeds[slots]

    def _first_readable(self, position: int, load: Callable[[int], T]) -> tuple[int, T] | None:
        """The sample at a position or, where unreadable ones are replaced, the next that can be read."""
        count = len(self.samples)
        for step in range(count if self.training else 1):
            index = (position + step) % count
            self.progress += 1
            if len(self.unreadable) and self.unreadable[index]:
                continue
            try:
                return index, load(index)
            except UserError as error:
                if self.strict or not len(self.unreadable):
                    raise UserError(f"{error} Or leave out what cannot be read: strict=false") from None
                self.unreadable[index] = 1
        if self.training:
            raise self.nothing_readable()
        return None

    def _prepare(self, images: Tensor | list[Tensor]) -> Tensor:
        if isinstance(images, Tensor):
            return images if self.prepared else self.transform(images)
        if not self.in_memory:
            return torch.stack([self.transform.pad(image) for image in images]) if images else self._empty_batch()
        return torch.stack([self.transform(image) for image in images])

    def _empty_batch(self) -> Tensor:
        return torch.empty((0, 1, *self.transform.image_size), dtype=torch.uint8)

"""The base class of readers for batches of images of different sizes, with boxes or masks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from visionkit.data.augment.joint import JointAugment, Sample
from visionkit.data.augment.spec import AugmentSpec
from visionkit.data.collate.base import BatchReader
from visionkit.data.dataset import ImageDataset, TensorDataset
from visionkit.data.images import LoadedImage
from visionkit.data.sample_seeds import Seeds
from visionkit.data.sampler import BatchIndices
from visionkit.data.transforms import InputTransform

__all__ = ["PaddedBatchReader"]

T = TypeVar("T")


class PaddedBatchReader(BatchReader, Generic[T]):
    """Reads padded batches of a split; subclasses define the target of an image (T) and its tensors.

    In training the ground truth in pixels of the original images is omitted; for the arguments see `BatchReader`.
    """

    pads = True

    mask_fill: ClassVar[int] = 0
    """The value of masks where augmentation moves the image's edge inwards."""

    @classmethod
    def make_augment(cls, augment: Sequence[AugmentSpec], transform: InputTransform) -> JointAugment:
        return JointAugment(augment, transform, mask_fill=cls.mask_fill)

    @staticmethod
    def check_samples(samples: ImageDataset) -> None:
        """Check nothing: what a sample lacks is an error of `load_target`."""

    @property
    def opens_files(self) -> bool:
        return not self.in_memory or self.samples.masks is not None

    @abstractmethod
    def load_target(self, index: int) -> T:
        """The target of an image, in pixels of the original image.

        Raises:
            UserError: If its file cannot be read.
        """

    @abstractmethod
    def transform_target(self, target: T, size: Tensor, image: Tensor) -> Sample:
        """Scale a target to the size of its image.

        Args:
            target: In pixels of the original image.
            size: The original height and width, int64 (2,).
            image: The image, resized or not, (C, h, w).

        Returns:
            The image and its targets, in pixels of ``image``.
        """

    @abstractmethod
    def drop_invisible(self, sample: Sample) -> Sample:
        """Drop objects that are no longer visible after augmentation and resizing."""

    @abstractmethod
    def collate(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Stack samples to a batch: ``images``, ``image_sizes`` and the targets, in pixels of the batch."""

    @abstractmethod
    def original_target(self, targets: Sequence[T], sizes: Tensor) -> dict[str, Tensor]:
        """The ground truth in pixels of the original images, whose height and width are ``sizes``, int64 (B, 2)."""

    def read(self, batch_indices: BatchIndices) -> dict[str, Tensor]:
        """Read a batch; samples of which image or target is unreadable are marked, and replaced or left out.

        Args:
            batch_indices: Indices of samples in the split, their seeds, and the progress of the run.

        Returns:
            The dict of tensors of the subclass's module; ``index`` alone if nothing can be read.

        Raises:
            UserError: If a sample cannot be read and ``strict`` is set, or none can that might replace it.
        """
        positions, seeds, progress = batch_indices
        loaded, indices, seeds = self._read_each(positions, seeds, self._load_both)
        if not loaded:
            return {"index": indices}
        images, targets = [image.pixels for image, _ in loaded], [target for _, target in loaded]
        sizes = torch.tensor([image.size for image, _ in loaded], dtype=torch.int64).reshape(-1, 2)
        if self.augment is not None:
            originals = (self.transform_target(*arguments) for arguments in zip(targets, sizes, images, strict=True))
            partners = self._read_partners(indices, seeds, progress)
            samples = self.augment(originals, seeds=seeds, partners=partners)
        else:
            fitted = [self.transform.fit(image) for image in images]
            samples = [self.transform_target(*arguments) for arguments in zip(targets, sizes, fitted, strict=True)]
        batch = self.collate([self.drop_invisible(sample) for sample in samples]) | {"index": indices}
        return batch if self.training else batch | {"original_sizes": sizes} | self.original_target(targets, sizes)

    def _load_both(self, index: int) -> tuple[LoadedImage, T]:
        return self._load(index), self.load_target(index)

    def _read_partners(self, indices: Tensor, seeds: Seeds, progress: float) -> Iterator[list[list[Sample]]] | None:
        """The images that each is joined with, read when they are needed; unreadable ones as in `read`."""
        drawn = self.augment.partners.draw(indices.numpy(), seeds, num_samples=len(self.samples), progress=progress)
        if drawn is None:
            return None
        return ([list(map(self._read_partner, joined)) for joined in of_image] for of_image in drawn)

    def _read_partner(self, index: int) -> Sample:
        found = self._first_readable(index, self._load_both)
        if found is None:
            raise self.nothing_readable()
        image, target = found[1]
        return self.transform_target(target, torch.tensor(image.size), image.pixels)

    def _load(self, index: int) -> LoadedImage:
        """An image, resized already where it lies in a file and no augmentation wants it whole; its original size."""
        if not self.in_memory and not self._wants_original:
            return self.samples.fitted(index, self.transform)
        image = self._image_in_memory(index) if self.in_memory else self.samples.image(index)
        if self.cache is not None and self.cache.sizes is not None:
            height, width = self.cache.sizes[index].tolist()
            return LoadedImage(image, (height, width))
        return LoadedImage(image, (image.shape[-2], image.shape[-1]))

    def _image_in_memory(self, index: int) -> Tensor:
        if isinstance(self.samples, TensorDataset):
            return self.samples.batch(torch.tensor([index]))[0]
        assert self.cache is not None
        return self.cache.images[index] if self.cache.shapes is None else self.cache.image(index)

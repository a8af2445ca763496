"""The samples of one split: images as they were decoded, what is known of each, and a name to look it up by."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from visionkit.data.annotations import Annotation, Annotations
from visionkit.data.class_masks import ClassMasks
from visionkit.data.images import load_image
from visionkit.errors import UserError

__all__ = ["FileDataset", "ImageDataset", "TensorDataset"]


class ImageDataset(ABC):
    """A sequence of images, each with a label, with marked objects or with a class for each pixel.

    Attributes:
        labels: int64 (N,), class ids from 0; zeros where the images have something else instead.
        annotations: The objects of each image; None where images have something else.
        masks: The class of each pixel; None where images have something else.
        in_channels: Of each image.
    """

    labels: Tensor
    annotations: Annotations | None = None
    masks: ClassMasks | None = None
    in_channels: int

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def nbytes(self) -> int:
        """About how much memory the samples take, in bytes."""
        return self.labels.nbytes + sum(known.nbytes for known in (self.annotations, self.masks) if known is not None)

    def annotation(self, index: int) -> Annotation:
        """The objects marked in an image, in its own pixels.

        Raises:
            TypeError: If the samples have no marked objects.
        """
        if self.annotations is None:
            raise TypeError("these samples have no annotations.")
        return self.annotations[index]

    def mask(self, index: int) -> Tensor:
        """The class of each pixel of an image as it was decoded, uint8 (H, W): ids from 0, 255 where it is ignored.

        Raises:
            TypeError: If the samples have no masks.
            UserError: If the mask's file cannot be read.
        """
        if self.masks is None:
            raise TypeError("these samples have no masks.")
        return self.masks[index]

    @abstractmethod
    def name(self, index: int) -> str:
        """The file's path, or the set and number that it has in it, such as ``"test/17"``."""

    @abstractmethod
    def image(self, index: int) -> Tensor:
        """The image before any preprocessing, uint8 (C, H, W).

        Raises:
            UserError: If its file cannot be read.
        """

    @abstractmethod
    def select(self, positions: Tensor) -> ImageDataset:
        """The samples at these positions, int64 (M,), in this order."""


class TensorDataset(ImageDataset):
    """Images of one size that lie in memory.

    Args:
        images: uint8 (M, C, H, W); splits may share it.
        labels: int64 (M,); None for zeros.
        positions: int64 (N,), which of them belong to the split.
        prefix: What the names begin with, such as ``"test"``.
        annotations: The objects of the M images.
        masks: The class masks of the M images.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | None,
        positions: Tensor,
        *,
        prefix: str,
        annotations: Annotations | None = None,
        masks: ClassMasks | None = None,
    ) -> None:
        self.images = images
        self.in_channels = images.shape[1]
        self.positions = positions
        self.prefix = prefix
        self._all_labels = labels if labels is not None else torch.zeros(len(images), dtype=torch.int64)
        self.labels = self._all_labels[positions]
        self._all_annotations = annotations
        self.annotations = annotations.select(positions) if annotations is not None else None
        self._all_masks = masks
        self.masks = masks.select(positions) if masks is not None else None

    @property
    def nbytes(self) -> int:
        return super().nbytes + len(self) * self.images[:1].nbytes

    def name(self, index: int) -> str:
        return f"{self.prefix}/{int(self.positions[index])}"

    def image(self, index: int) -> Tensor:
        return self.images[self.positions[index]]

    def batch(self, indices: Tensor) -> Tensor:
        """The images at these positions of the split, uint8 (B, C, H, W)."""
        return self.images.index_select(0, self.positions[indices])

    def select(self, positions: Tensor) -> TensorDataset:
        return TensorDataset(
            self.images,
            self._all_labels,
            self.positions[positions],
            prefix=self.prefix,
            annotations=self._all_annotations,
            masks=self._all_masks,
        )


class FileDataset(ImageDataset):
    """Image files, decoded when they are asked for.

    Args:
        root: The folder that the names are relative to.
        names: One per image; kept as one array of bytes, so that millions stay small and are shared with workers.
        labels: int64 (N,); None for zeros.
        in_channels: 1 or 3, see `load_image`.
        annotations: The objects of each image.
        sizes: int64 (N, 2), height and width that the annotations were made for, 0 where they don't say; a file of
            another size counts as unreadable, because its boxes would lie elsewhere.
        masks: The class masks of the images.
    """

    def __init__(
        self,
        root: Path,
        names: Sequence[str] | NDArray[numpy.bytes_],
        labels: Tensor | None = None,
        *,
        in_channels: int,
        annotations: Annotations | None = None,
        sizes: Tensor | None = None,
        masks: ClassMasks | None = None,
    ) -> None:
        self.root = root
        self.in_channels = in_channels
        self.labels = labels if labels is not None else torch.zeros(len(names), dtype=torch.int64)
        self.annotations, self.sizes, self.masks = annotations, sizes, masks
        self._names = (
            names
            if isinstance(names, numpy.ndarray)
            else numpy.array([os.fsencode(name) for name in names], dtype=numpy.bytes_)
        )

    @property
    def nbytes(self) -> int:
        return super().nbytes + self._names.nbytes

    def name(self, index: int) -> str:
        return os.path.join(self.root, os.fsdecode(self._names[index]))

    def image(self, index: int) -> Tensor:
        image = load_image(self.name(index), self.in_channels)
        height, width = (0, 0) if self.sizes is None else self.sizes[index].tolist()
        if height and image.shape[-2:] != (height, width):
            raise UserError(
                f"image '{self.name(index)}' is {image.shape[2]}x{image.shape[1]}, but its annotation was made for "
                f"{width}x{height} (width x height). Expected the image that was annotated. Replace or remove it."
            )
        return image

    def select(self, positions: Tensor) -> FileDataset:
        return FileDataset(
            self.root,
            self._names[positions.numpy()],
            self.labels[positions],
            in_channels=self.in_channels,
            annotations=self.annotations.select(positions) if self.annotations is not None else None,
            sizes=self.sizes[positions] if self.sizes is not None else None,
            masks=self.masks.select(positions) if self.masks is not None else None,
        )

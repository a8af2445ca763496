"""The images of one split with their targets: class labels, annotated objects or class masks."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from visionkit.data.annotations import Annotations, Objects
from visionkit.data.class_masks import ClassMasks, MaskFiles
from visionkit.data.image_header import read_header
from visionkit.data.images import ImageReader, LoadedImage
from visionkit.data.transforms import InputTransform

__all__ = ["FileDataset", "ImageDataset", "TensorDataset", "count_classes"]


class ImageDataset(ABC):
    """A sequence of images, each with a class label, with annotated objects or with a class mask.

    Attributes:
        labels: int64 (N,), class ids from 0, zeros if the targets are annotations or masks; or uint8 (N, K), 1 for the
            classes that an image has, if these are any number.
        annotations: The objects of each image; None for other targets.
        masks: The class mask of each image; None for other targets.
        in_channels: The number of channels of an image.
    """

    labels: Tensor
    annotations: Annotations | None = None
    masks: ClassMasks | None = None
    in_channels: int
    of_items = False
    """Whether the samples are items of a person's data set, and no files."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def nbytes(self) -> int:
        """The approximate memory of images held in memory, names and targets, in bytes."""
        return self.labels.nbytes + sum(
            target.nbytes for target in (self.annotations, self.masks) if target is not None
        )

    def annotation(self, index: int) -> Objects:
        """The annotated objects of an image, in pixels of the decoded image.

        Raises:
            TypeError: If the dataset has no annotations.
        """
        if self.annotations is None:
            raise TypeError("these samples have no annotations.")
        return self.annotations[index]

    def mask(self, index: int) -> Tensor:
        """The class mask of an image, uint8 (H, W) of the decoded image's size: ids from 0, 255 is ignored.

        Raises:
            TypeError: If the dataset has no masks.
            UserError: If the mask's file cannot be read.
        """
        if self.masks is None:
            raise TypeError("these samples have no masks.")
        return self.masks[index]

    @abstractmethod
    def name(self, index: int) -> str:
        """The file's path, or prefix and index of an image in memory, such as ``"test/17"``."""

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the images, uint8 or float32."""
        return torch.uint8

    @abstractmethod
    def image(self, index: int) -> Tensor:
        """The decoded image before any preprocessing, uint8 or float32 (C, H, W), 0..255.

        Raises:
            UserError: If its file cannot be read.
        """

    def fitted(self, index: int, transform: InputTransform) -> LoadedImage:
        """The image after `InputTransform.fit`, for training, evaluation and prediction alike, and its original size.

        Raises:
            UserError: If its file cannot be read.
        """
        image = self.image(index)
        return LoadedImage(transform.fit(image), (image.shape[-2], image.shape[-1]))

    @abstractmethod
    def select(self, positions: Tensor) -> ImageDataset:
        """The subset at these positions, int64 (M,), in this order."""


class TensorDataset(ImageDataset):
    """Images of one size in memory.

    Args:
        images: uint8 (M, C, H, W), shared by the splits.
        labels: int64 (M,); None for zeros.
        positions: int64 (N,), the positions of the split's images among the M.
        prefix: The prefix of the names, such as ``"test"``.
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
        self.annotations = annotations.select(positions.numpy()) if annotations is not None else None
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
        """The images at these indices of the split, uint8 (B, C, H, W)."""
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
    """Image files, decoded on access.

    Args:
        root: The folder that the names are relative to.
        names: One per image; stored as one array of bytes, which is compact and shared with workers.
        labels: int64 (N,) or uint8 (N, K), see `ImageDataset`; None for zeros.
        in_channels: The number of channels, see `visionkit.data.images.ImageReader`.
        annotations: The objects of each image.
        sizes: int64 (N, 2), height and width that the annotations refer to, 0 where unknown. A photo whose stored
            pixels have this size, and not the turned photo, is read unturned. A file of another size counts as
            unreadable, because its boxes would be wrong.
        masks: The class masks of the images.

    Attributes:
        reader: How files become tensors.
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
        reader: ImageReader | None = None,
    ) -> None:
        self.root = root
        self.in_channels = in_channels
        self.reader = reader or ImageReader(in_channels)
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

    @property
    def names(self) -> NDArray[numpy.bytes_]:
        """The name of each file, bytes (N,)."""
        return self._names

    def name(self, index: int) -> str:
        return os.path.join(self.root, os.fsdecode(self._names[index]))

    @property
    def dtype(self) -> torch.dtype:
        return torch.uint8 if self.reader.value_range is None else torch.float32

    def image(self, index: int) -> Tensor:
        return self.reader.read(self.name(index), annotated=self._annotated_size(index)).pixels

    def fitted(self, index: int, transform: InputTransform) -> LoadedImage:
        annotated = self._annotated_size(index)
        loaded = self.reader.read(self.name(index), target=transform.content_size, annotated=annotated)
        return loaded._replace(pixels=transform.place(loaded.pixels))

    def image_size(self, index: int) -> tuple[int, int]:
        """Height and width of the decoded image, in pixels, from the header of its file.

        Raises:
            UserError: If the header cannot be read.
        """
        header = read_header(self.name(index))
        if header.size == header.stored:
            return header.size
        return header.stored if header.is_annotated_unturned(self._annotated_size(index)) else header.size

    @property
    def is_annotated(self) -> bool:
        """Whether the images have annotations or masks, which were made for their pixels."""
        return self.sizes is not None or self.annotations is not None or self.masks is not None

    def orientation_doubt(self, index: int) -> str | None:
        """The code of the finding on an image that EXIF turns and whose annotations may not be turned; None for none.

        ``image-turned`` if its annotations were made for the stored pixels, so that it is read unturned;
        ``image-orientation`` if nothing tells for which pixels they were made: no size is declared, both pixels have
        the same, and no mask has an orientation of its own.

        Raises:
            UserError: If the header cannot be read.
        """
        header = read_header(self.name(index))
        if header.orientation not in range(2, 9):
            return None
        if isinstance(self.masks, MaskFiles) and self.masks.header(index).orientation in range(2, 9):
            return None
        annotated = self._annotated_size(index)
        if annotated is None or header.size == header.stored:
            return "image-orientation"
        return "image-turned" if header.is_annotated_unturned(annotated) else None

    def _annotated_size(self, index: int) -> tuple[int, int] | None:
        if self.sizes is None:
            return self.masks.size(index) if isinstance(self.masks, MaskFiles) else None
        height, width = self.sizes[index].tolist()
        return (height, width) if height else None

    def select(self, positions: Tensor) -> FileDataset:
        return FileDataset(
            self.root,
            self._names[positions.numpy()],
            self.labels[positions],
            in_channels=self.in_channels,
            annotations=self.annotations.select(positions.numpy()) if self.annotations is not None else None,
            sizes=self.sizes[positions] if self.sizes is not None else None,
            masks=self.masks.select(positions) if self.masks is not None else None,
            reader=self.reader,
        )


def count_classes(samples: ImageDataset, num_classes: int) -> Tensor:
    """The images, objects or pixels of each class, whichever are labelled, int64 (num_classes,)."""
    if samples.masks is not None:
        return samples.masks.count_pixels(num_classes)
    if samples.labels.ndim == 2:
        return samples.labels.sum(dim=0)
    labels = samples.labels if samples.annotations is None else samples.annotations.objects.labels
    return torch.bincount(torch.as_tensor(labels), minlength=num_classes)

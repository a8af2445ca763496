"""The samples of one split: images as they were decoded, labels, and a name that a person can look up."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy
from numpy.typing import NDArray
from torch import Tensor

from visionkit.data.transforms import load_image

__all__ = ["FileSamples", "Samples", "TensorSamples"]


class Samples(ABC):
    """A sequence of labelled images.

    Attributes:
        labels: int64 (N,), class ids from 0.
        in_channels: Of each image.
    """

    labels: Tensor
    in_channels: int

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def nbytes(self) -> int:
        """About how much memory the samples take, in bytes."""
        return self.labels.nbytes

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
    def select(self, positions: Tensor) -> Samples:
        """The samples at these positions, int64 (M,), in this order."""


class TensorSamples(Samples):
    """Images of one size that lie in memory.

    Args:
        images: uint8 (M, C, H, W); splits may share it.
        labels: int64 (M,).
        positions: int64 (N,), which of them belong to the split.
        prefix: What the names begin with, such as ``"test"``.
    """

    def __init__(self, images: Tensor, labels: Tensor, positions: Tensor, *, prefix: str) -> None:
        self.images = images
        self.in_channels = images.shape[1]
        self.positions = positions
        self.prefix = prefix
        self._all_labels = labels
        self.labels = labels[positions]

    @property
    def nbytes(self) -> int:
        return self.labels.nbytes + len(self) * self.images[:1].nbytes

    def name(self, index: int) -> str:
        return f"{self.prefix}/{int(self.positions[index])}"

    def image(self, index: int) -> Tensor:
        return self.images[self.positions[index]]

    def batch(self, indices: Tensor) -> Tensor:
        """The images at these positions of the split, uint8 (B, C, H, W)."""
        return self.images.index_select(0, self.positions[indices])

    def select(self, positions: Tensor) -> TensorSamples:
        return TensorSamples(self.images, self._all_labels, self.positions[positions], prefix=self.prefix)


class FileSamples(Samples):
    """Image files, decoded when they are asked for.

    Args:
        root: The folder that the names are relative to.
        names: One per image; kept as one array of bytes, so that millions stay small and are shared with workers.
        labels: int64 (N,).
        in_channels: 1 or 3, see `load_image`.
    """

    def __init__(
        self, root: Path, names: Sequence[str] | NDArray[numpy.bytes_], labels: Tensor, *, in_channels: int
    ) -> None:
        self.root = root
        self.in_channels = in_channels
        self.labels = labels
        self._names = (
            names
            if isinstance(names, numpy.ndarray)
            else numpy.array([os.fsencode(name) for name in names], dtype=numpy.bytes_)
        )

    @property
    def nbytes(self) -> int:
        return self.labels.nbytes + self._names.nbytes

    def name(self, index: int) -> str:
        return os.path.join(self.root, os.fsdecode(self._names[index]))

    def image(self, index: int) -> Tensor:
        return load_image(self.name(index), self.in_channels)

    def select(self, positions: Tensor) -> FileSamples:
        return FileSamples(
            self.root, self._names[positions.numpy()], self.labels[positions], in_channels=self.in_channels
        )

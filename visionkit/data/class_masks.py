"""The class masks of a split: in memory, in mask files, or rasterized from annotated objects."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from visionkit.data.annotations import Annotations
from visionkit.data.image_header import Header, read_header
from visionkit.data.mask_values import ValueTable, read_mask
from visionkit.structures.class_ids import IGNORE_INDEX
from visionkit.structures.rle import decode_mask, mask_area

__all__ = ["ClassMasks", "MaskFiles", "RasterizedMasks", "TensorMasks", "resize_mask"]


class ClassMasks(ABC):
    """A sequence of masks, one per image."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Tensor:
        """uint8 (H, W) of the decoded image's size: class ids from 0, `IGNORE_INDEX` (255) is ignored.

        Raises:
            UserError: If its file cannot be read.
        """

    @abstractmethod
    def select(self, positions: Tensor) -> ClassMasks:
        """The masks at these positions, int64 (M,), in this order."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """The approximate memory of the masks, in bytes."""

    def count_pixels(self, num_classes: int) -> Tensor:
        """The number of pixels of each class in all masks, int64 (num_classes,)."""

        def count(index: int) -> Tensor:
            return torch.bincount(self[index].flatten(), minlength=IGNORE_INDEX + 1)

        with ThreadPoolExecutor(4) as pool:
            counts = sum(pool.map(count, range(len(self))), torch.zeros(IGNORE_INDEX + 1, dtype=torch.int64))
        return counts[:num_classes]


class TensorMasks(ClassMasks):
    """Masks of one size in memory.

    Args:
        masks: uint8 (M, H, W).
        positions: int64 (N,), the positions of the split's masks among the M; None for all.
    """

    def __init__(self, masks: Tensor, positions: Tensor | None = None) -> None:
        self.masks = masks
        self.positions = torch.arange(len(masks)) if positions is None else positions

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> Tensor:
        return self.masks[self.positions[index]]

    def select(self, positions: Tensor) -> TensorMasks:
        return TensorMasks(self.masks, self.positions[positions])

    @property
    def nbytes(self) -> int:
        return len(self) * self.masks[:1].nbytes


class MaskFiles(ClassMasks):
    """Mask files, decoded on access.

    Args:
        root: The folder that the names are relative to.
        names: One per image.
        table: Maps the values of the files to class ids.
    """

    def __init__(self, root: Path, names: Sequence[str] | NDArray[numpy.bytes_], table: ValueTable) -> None:
        self.root, self.table = root, table
        self._names = names if isinstance(names, numpy.ndarray) else numpy.array([os.fsencode(name) for name in names])

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> Tensor:
        values = read_mask(os.path.join(self.root, os.fsdecode(self._names[index])), coloured=self.table.coloured)
        return torch.from_numpy(self.table.translate(values))

    @property
    def names(self) -> NDArray[numpy.bytes_]:
        """The name of each file, bytes (N,)."""
        return self._names

    def size(self, index: int) -> tuple[int, int]:
        """Height and width of the upright mask, in pixels, from the header of its file.

        Raises:
            UserError: If the header cannot be read.
        """
        return self.header(index).size

    def header(self, index: int) -> Header:
        """The header of a mask's file.

        Raises:
            UserError: If it cannot be read.
        """
        return read_header(os.path.join(self.root, os.fsdecode(self._names[index])))

    def select(self, positions: Tensor) -> MaskFiles:
        return MaskFiles(self.root, self._names[positions.numpy()], self.table)

    @property
    def nbytes(self) -> int:
        return int(self._names.nbytes)


class RasterizedMasks(ClassMasks):
    """Masks rasterized from the segmentations of objects: class 0 is the background, k + 1 the objects labelled k.

    Of overlapping objects the smallest is on top; pixels that only a crowd covers are ignored.

    Args:
        annotations: The objects of each image, with segmentations.
        sizes: int64 (N, 2), height and width of each image, in pixels.
    """

    def __init__(self, annotations: Annotations, sizes: Tensor) -> None:
        self.annotations, self.sizes = annotations, sizes

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitem__(self, index: int) -> Tensor:
        objects = self.annotations[index]
        height, width = self.sizes[index].tolist()
        rles = objects.rles(height, width)
        mask = numpy.zeros((height, width), dtype=numpy.uint8)
        values = numpy.where(objects.crowd, IGNORE_INDEX, objects.labels + 1)
        draw_order = [(not crowd, -mask_area(rle)) for crowd, rle in zip(objects.crowd.tolist(), rles, strict=True)]
        for row in sorted(range(len(draw_order)), key=draw_order.__getitem__):
            mask[decode_mask(rles[row])] = values[row]
        return torch.from_numpy(mask)

    def select(self, positions: Tensor) -> RasterizedMasks:
        return RasterizedMasks(self.annotations.select(positions.numpy()), self.sizes[positions])

    @property
    def nbytes(self) -> int:
        return self.annotations.nbytes + self.sizes.nbytes


def resize_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize masks by nearest neighbour interpolation, aligned at pixel centres.

    Args:
        mask: uint8 (H, W) or (n, H, W).
        size: Height and width of the result, in pixels.
    """
    if mask.shape[-2:] == size:
        return mask
    if not len(mask):
        return mask.new_zeros((0, *size))
    planes = mask.reshape(1, -1, *mask.shape[-2:])
    resized = torch.nn.functional.interpolate(planes, size=size, mode="nearest-exact")
    return resized.view(*mask.shape[:-2], *size)

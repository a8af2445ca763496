"""Images that are read some rows at a time, so that memory follows what is looked at and not the image."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from visionkit.data.arrays import ArrayImage
from visionkit.data.bands import needs_tifffile
from visionkit.data.image_header import header_of, identify_image, naming_image, open_image
from visionkit.data.image_modes import is_deep, num_bands
from visionkit.data.images import ImageReader
from visionkit.data.memory import check_memory
from visionkit.data.tiff_strips import TiffStrips

__all__ = ["ImageRows", "MemoryRows", "open_rows"]

_BLOCK_ROWS = 512


class ImageRows(ABC):
    """An image of which rows are read from the top down.

    Attributes:
        size: Height and width in pixels.
        path: The file, or what else it is called.
    """

    size: tuple[int, int]
    path: Path = Path("in memory")

    @abstractmethod
    def rows(self, top: int, bottom: int) -> Tensor:
        """Rows of the image, uint8 or float32 (C, bottom - top, W), 0..255; cheap if ``top`` never falls.

        Raises:
            ImageError: If they cannot be decoded.
        """

    def check_memory(self, bytes_per_pixel: int, *, purpose: str) -> None:
        """Refuse an image whose result does not fit into memory.

        Raises:
            ImageError: If less than so many bytes for each pixel are free.
        """
        height, width = self.size
        check_memory(self.path, self.size, bytes_per_pixel * height * width, purpose=purpose)

    def reduced(self, factor: int) -> Tensor:
        """The whole image at a fraction of its size: means of blocks, uint8 (C, ceil(H / factor), ceil(W / factor))."""
        height = self.size[0]
        if factor == 1:
            return self.rows(0, height)
        step = factor * max(1, _BLOCK_ROWS // factor)
        strips = []
        for top in range(0, height, step):
            rows = self.rows(top, min(top + step, height)).float()[None]
            means = F.avg_pool2d(rows, factor, ceil_mode=True, count_include_pad=False)
            strips.append(means[0].round().to(torch.uint8))
        return torch.cat(strips, dim=1)


class MemoryRows(ImageRows):
    """An image in memory, uint8 or float32 (C, H, W)."""

    def __init__(self, pixels: Tensor) -> None:
        self.pixels, self.size = pixels, (pixels.shape[-2], pixels.shape[-1])

    def rows(self, top: int, bottom: int) -> Tensor:
        return self.pixels[:, top:bottom]


class _TiffRows(ImageRows):
    """A TIFF file whose strips or tiles are decoded as they are needed."""

    def __init__(self, path: Path, reader: ImageReader, strips: TiffStrips, size: tuple[int, int]) -> None:
        self.path, self.reader, self.strips, self.size = path, reader, strips, size
        self._decoded: dict[int, Tensor] = {}

    def rows(self, top: int, bottom: int) -> Tensor:
        wanted = {i: run for i, run in enumerate(self.strips.runs) if run.top < bottom and run.bottom > top}
        decoded = {i: self._decoded[i] if i in self._decoded else self._decode(i) for i in wanted}
        self._decoded = decoded
        parts = [decoded[i][:, max(0, top - run.top) : bottom - run.top] for i, run in wanted.items()]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _decode(self, index: int) -> Tensor:
        run = self.strips.runs[index]
        with naming_image(self.path):
            # Pillow would map the file of a name into memory, which is another one
            part = identify_image(self.strips.encoded(index), "")
            values = self.reader.values_of(part, self.path)
            if values.shape[1:] != (run.bottom - run.top, self.size[1]):
                raise ValueError("its parts have other sizes than it says")
            return values.contiguous()


class _ArrayRows(ImageRows):
    """An array in a file, mapped into memory."""

    def __init__(self, path: Path, reader: ImageReader, image: ArrayImage) -> None:
        self.path, self.reader, self.image, self.size = path, reader, image, (image.size[1], image.size[0])

    def rows(self, top: int, bottom: int) -> Tensor:
        with naming_image(self.path):
            return self.reader.values_of(self.image.part(top, bottom), self.path)


def open_rows(path: str | Path, reader: ImageReader) -> ImageRows:
    """Open an image file of any number of pixels to read it some rows at a time.

    TIFF files are decoded by their strips or tiles, and arrays row by row. Others, and TIFF files whose parts need each
    other, are decoded whole, if that fits into the memory that is free.

    Args:
        path: The file.
        reader: How it becomes a tensor; its ``max_pixels`` is no limit here.

    Raises:
        ImageError: If the file cannot be read, or does not fit into memory.
    """
    with open_image(path) as image:
        header = header_of(image)
        is_divisible = _is_divisible(image, reader, header.orientation)
        if is_divisible and isinstance(image, ArrayImage):
            return _ArrayRows(Path(path), reader, image)
        strips = TiffStrips.of(image, path) if is_divisible else None
        if strips is not None:
            check_memory(path, header.size, reader.bytes_per_pixel(image) * strips.max_rows * image.size[0])
            return _TiffRows(Path(path), reader, strips, header.size)
        if math.prod(header.size) > (reader.max_pixels or 0):
            check_memory(path, header.size, reader.bytes_per_pixel(image) * math.prod(header.size))
    return MemoryRows(reader.unlimited.read(path).pixels)


def _is_divisible(image: Any, reader: ImageReader, orientation: int) -> bool:
    """Whether rows are decoded alone as they are within the whole image."""
    is_judged_whole = reader.value_range is None and is_deep(image) and not image.mode.startswith("I;16")
    has_pages = num_bands(image) == 1 and getattr(image, "n_frames", 1) == reader.in_channels != 1
    return orientation == 1 and not is_judged_whole and not has_pages and not needs_tifffile(image)

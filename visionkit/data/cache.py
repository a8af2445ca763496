"""The decoded images of a split in one contiguous buffer, so that each file is decoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from visionkit.data.dataset import FileDataset
from visionkit.data.image_error import ImageError
from visionkit.data.transforms import InputTransform
from visionkit.distributed.devices import available_cores
from visionkit.errors import UserError

__all__ = ["ImageCache", "decode_originals", "decode_prepared", "read_sizes"]

_GROUP_SIZE = 32  # files per task of the thread pool: scheduling single small files costs more than decoding them


@dataclass
class ImageCache:
    """The decoded images of a split.

    Attributes:
        images: uint8 or float32, one tensor (N, C, H, W) if all images have one size, else the flat pixels of
            all, (V,).
        keep: int64 (N,), the positions of the readable images in the split.
        problems: What is wrong with each unreadable image, by position.
        shapes: int64 (N, 3), channels, height and width of each image; None if all have one size.
        starts: int64 (N,), the offset of each image in the flat pixels; None if all have one size.
        sizes: int64 (N, 2), original height and width of images resized by `InputTransform.fit`; else None.
    """

    images: Tensor
    keep: Tensor
    problems: dict[int, ImageError] = field(default_factory=dict)
    shapes: Tensor | None = None
    starts: Tensor | None = None
    sizes: Tensor | None = None

    @property
    def nbytes(self) -> int:
        """The size of the pixels in bytes."""
        return self.images.nbytes

    def image(self, index: int) -> Tensor:
        """One image, (C, H, W)."""
        if self.shapes is None or self.starts is None:
            return self.images[index]
        shape = tuple(self.shapes[index].tolist())
        start = int(self.starts[index])
        return self.images[start : start + prod(shape)].view(shape)


def decode_prepared(samples: FileDataset, transform: InputTransform, *, budget: int, strict: bool) -> ImageCache | None:
    """Decode and transform all files, if the result fits into memory.

    Args:
        samples: The files.
        transform: Brings all images to one size.
        budget: The memory available, in bytes.
        strict: Whether an unreadable image is an error.

    Returns:
        Images of one size; None if they exceed the budget.

    Raises:
        UserError: If an image cannot be read and ``strict`` is set.
    """
    shape = (len(samples), samples.in_channels, *transform.image_size)
    if prod(shape) * samples.dtype.itemsize > budget:
        return None
    images = torch.empty(shape, dtype=samples.dtype)

    def decode(index: int) -> None:
        images[index] = transform.pad(samples.fitted(index, transform).pixels)

    problems = _run_in_threads(range(len(samples)), decode, strict=strict)
    keep = _complement(len(samples), problems)
    if problems:
        for row, index in enumerate(keep.tolist()):
            if row != index:
                images[row] = images[index]
        images = images[: len(keep)]
    return ImageCache(images, keep, problems)


def decode_originals(
    samples: FileDataset, *, budget: int, strict: bool, fit: InputTransform | None = None
) -> ImageCache | None:
    """Decode all files at their original sizes, or at those of ``fit``, if the result fits into memory.

    Args:
        samples: The files.
        budget: The memory available, in bytes.
        strict: Whether an unreadable image is an error.
        fit: Resizes each image, see `InputTransform.fit`.

    Returns:
        The images; None if they exceed the budget, estimated first from a subset of the files.

    Raises:
        UserError: If an image cannot be read and ``strict`` is set.
    """
    count, channels = len(samples), samples.in_channels
    budget //= samples.dtype.itemsize

    def fitted_sizes(originals: NDArray[Any]) -> NDArray[Any]:
        if fit is None:
            return originals
        return numpy.array([fit.fitted_size(*size) if size[0] else (0, 0) for size in originals.tolist()])

    probe = range(0, count, max(1, count // 64))
    areas = fitted_sizes(read_sizes(samples, probe, strict=False)[0][list(probe)]).prod(axis=1)
    if channels * int(areas.sum()) / max(1, len(areas)) * count > 1.5 * budget:
        return None
    originals, problems = read_sizes(samples, range(count), strict=strict)
    sizes = fitted_sizes(originals)
    lengths = sizes.prod(axis=1) * channels
    if int(lengths.sum()) > budget:
        return None
    starts = numpy.concatenate([[0], numpy.cumsum(lengths)])
    flat_pixels = torch.empty(int(starts[-1]), dtype=samples.dtype)

    def decode(index: int) -> None:
        if fit is None:
            pixels = samples.image(index)
            size = tuple(pixels.shape[-2:])
        else:
            pixels, size = samples.fitted(index, fit)
        if size != tuple(originals[index]):
            raise ImageError(f"image '{samples.name(index)}' has another size than its header says.")
        flat_pixels[int(starts[index]) : int(starts[index + 1])] = pixels.flatten()

    problems |= _run_in_threads((i for i in range(count) if i not in problems), decode, strict=strict)
    keep = _complement(count, problems)
    shapes = torch.from_numpy(numpy.insert(sizes, 0, channels, axis=1))[keep]
    original_sizes = torch.from_numpy(originals)[keep] if fit is not None else None
    if not problems and count and bool((shapes == shapes[0]).all()):
        return ImageCache(flat_pixels.view(count, *shapes[0].tolist()), keep, sizes=original_sizes)
    return ImageCache(flat_pixels, keep, problems, shapes, torch.from_numpy(starts[:-1])[keep], original_sizes)


def read_sizes(
    samples: FileDataset, indices: Sequence[int], *, strict: bool
) -> tuple[NDArray[Any], dict[int, ImageError]]:
    """Read heights and widths from the headers of files.

    Args:
        samples: The files.
        indices: The indices of the files to read.
        strict: Whether an unreadable file is an error.

    Returns:
        int64 (N, 2), 0 where nothing was read, and what is wrong with unreadable files, by index.

    Raises:
        UserError: If a file cannot be read and ``strict`` is set.
    """
    sizes = numpy.zeros((len(samples), 2), dtype=numpy.int64)

    def measure(index: int) -> None:
        sizes[index] = samples.image_size(index)

    return sizes, _run_in_threads(indices, measure, strict=strict)


def _run_in_threads(indices: Iterable[int], work: Callable[[int], None], *, strict: bool) -> dict[int, ImageError]:
    """Call ``work`` in threads (decoding releases the GIL) and collect errors by index."""
    problems: dict[int, ImageError] = {}

    def attempt(index: int) -> None:
        try:
            work(index)
        except ImageError as error:
            if strict:
                raise UserError(f"{error} Or leave out what cannot be read: strict=false") from None
            problems[index] = error

    def attempt_group(group: list[int]) -> None:
        for index in group:
            attempt(index)

    remaining = list(indices)
    groups = [remaining[start : start + _GROUP_SIZE] for start in range(0, len(remaining), _GROUP_SIZE)]
    pool = ThreadPoolExecutor(min(16, available_cores()))
    try:
        for _ in pool.map(attempt_group, groups):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
    return dict(sorted(problems.items()))


def _complement(count: int, problems: dict[int, ImageError]) -> Tensor:
    mask = torch.ones(count, dtype=torch.bool)
    mask[list(problems)] = False
    return mask.nonzero().flatten()

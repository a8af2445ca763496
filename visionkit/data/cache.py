"""Image files decoded once, into one contiguous buffer per split."""

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
from visionkit.data.images import read_size
from visionkit.data.transforms import InputTransform
from visionkit.distributed.devices import available_cores
from visionkit.errors import UserError

__all__ = ["ImageCache", "decode_originals", "decode_prepared", "read_sizes"]

_GROUP = 32  # files a thread takes at once; handing out single small ones costs more than decoding them


@dataclass
class ImageCache:
    """What decoding a split gave.

    Attributes:
        images: uint8, one tensor (N, C, H, W) where all images have one size, else the flat pixels of all.
        keep: int64 (N,), the positions of the readable images.
        problems: Position and message of the others.
        shapes: int64 (N, 3), channels, height and width, for flat pixels.
        starts: int64 (N,), where each image begins, for flat pixels.
        sizes: int64 (N, 2), height and width of the files, where the images have been fitted to other ones.
    """

    images: Tensor
    keep: Tensor
    problems: dict[int, str] = field(default_factory=dict)
    shapes: Tensor | None = None
    starts: Tensor | None = None
    sizes: Tensor | None = None

    @property
    def nbytes(self) -> int:
        """The size of the pixels in bytes."""
        return self.images.numel()

    def image(self, index: int) -> Tensor:
        """One image, uint8 (C, H, W)."""
        if self.shapes is None or self.starts is None:
            return self.images[index]
        shape = tuple(self.shapes[index].tolist())
        start = int(self.starts[index])
        return self.images[start : start + prod(shape)].view(shape)

    def share(self) -> None:
        """Move the buffers where processes that are not forked find them too."""
        for tensor in (self.images, self.shapes, self.starts, self.sizes):
            if tensor is not None:
                tensor.share_memory_()  # type: ignore[no-untyped-call]


def decode_prepared(samples: FileDataset, transform: InputTransform, *, budget: int, strict: bool) -> ImageCache | None:
    """Decode and transform all files, if the result fits.

    Args:
        samples: The files.
        transform: Brings each image to its size.
        budget: Bytes that may be used.
        strict: Whether an unreadable image is an error.

    Returns:
        Images of one size; None if they would not fit.

    Raises:
        UserError: If an image cannot be read and ``strict`` is set.
    """
    shape = (len(samples), samples.in_channels, *transform.image_size)
    if prod(shape) > budget:
        return None
    images = torch.empty(shape, dtype=torch.uint8)

    def put(index: int) -> None:
        images[index] = transform(samples.image(index))

    problems = _for_all(range(len(samples)), put, strict=strict)
    keep = _without(len(samples), problems)
    if problems:
        for place, index in enumerate(keep.tolist()):
            if place != index:
                images[place] = images[index]
        images = images[: len(keep)]
    return ImageCache(images, keep, problems)


def decode_originals(
    samples: FileDataset, *, budget: int, strict: bool, fit: InputTransform | None = None
) -> ImageCache | None:
    """Decode all files at the sizes which they have, or at those to which each is fitted, if they fit into memory.

    Args:
        samples: The files.
        budget: Bytes that may be used.
        strict: Whether an unreadable image is an error.
        fit: Brings each image to a size of its own, see `InputTransform.fit`.

    Returns:
        The images; None if they would not fit, which a few files are enough to tell.

    Raises:
        UserError: If an image cannot be read and ``strict`` is set.
    """
    count, channels = len(samples), samples.in_channels

    def fitted(originals: NDArray[Any]) -> NDArray[Any]:
        if fit is None:
            return originals
        return numpy.array([fit.fitted_size(*size) if size[0] else (0, 0) for size in originals.tolist()])

    probe = range(0, count, max(1, count // 64))
    known = fitted(read_sizes(samples, probe, strict=False)[0][list(probe)]).prod(axis=1)
    if channels * int(known.sum()) / max(1, len(known)) * count > 1.5 * budget:
        return None
    originals, problems = read_sizes(samples, range(count), strict=strict)
    sizes = fitted(originals)
    lengths = sizes.prod(axis=1) * channels
    if int(lengths.sum()) > budget:
        return None
    starts = numpy.concatenate([[0], numpy.cumsum(lengths)])
    flat = torch.empty(int(starts[-1]), dtype=torch.uint8)

    def put(index: int) -> None:
        image = samples.image(index)
        if image.shape[-2:] != tuple(originals[index]):
            raise UserError(f"image '{samples.name(index)}' has another size than its header says.")
        pixels = (image if fit is None else fit.fit(image)).flatten()
        flat[int(starts[index]) : int(starts[index + 1])] = pixels

    problems |= _for_all((i for i in range(count) if i not in problems), put, strict=strict)
    keep = _without(count, problems)
    shapes = torch.from_numpy(numpy.insert(sizes, 0, channels, axis=1))[keep]
    before = torch.from_numpy(originals)[keep] if fit is not None else None
    if not problems and count and bool((shapes == shapes[0]).all()):
        return ImageCache(flat.view(count, *shapes[0].tolist()), keep, sizes=before)
    return ImageCache(flat, keep, problems, shapes, torch.from_numpy(starts[:-1])[keep], before)


def read_sizes(samples: FileDataset, indices: Sequence[int], *, strict: bool) -> tuple[NDArray[Any], dict[int, str]]:
    """Read heights and widths from the headers of files.

    Args:
        samples: The files.
        indices: Which of them.
        strict: Whether one that cannot be read is an error.

    Returns:
        int64 (N, 2), 0 where none was read, and position and message of those that cannot be.

    Raises:
        UserError: If one cannot be read and ``strict`` is set.
    """
    sizes = numpy.zeros((len(samples), 2), dtype=numpy.int64)

    def measure(index: int) -> None:
        sizes[index] = read_size(samples.name(index))

    return sizes, _for_all(indices, measure, strict=strict)


def _for_all(indices: Iterable[int], work: Callable[[int], None], *, strict: bool) -> dict[int, str]:
    """Do the work in threads (decoding leaves Python's lock) and collect the messages of what failed."""
    problems: dict[int, str] = {}

    def attempt(index: int) -> None:
        try:
            work(index)
        except UserError as error:
            if strict:
                raise UserError(f"{error} Or leave out what cannot be read: strict=false") from None
            problems[index] = str(error)

    def attempt_all(some: list[int]) -> None:
        for index in some:
            attempt(index)

    todo = list(indices)
    groups = [todo[start : start + _GROUP] for start in range(0, len(todo), _GROUP)]
    pool = ThreadPoolExecutor(min(16, available_cores()))
    try:
        for _ in pool.map(attempt_all, groups):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
    return dict(sorted(problems.items()))


def _without(count: int, problems: dict[int, str]) -> Tensor:
    mask = torch.ones(count, dtype=torch.bool)
    mask[list(problems)] = False
    return mask.nonzero().flatten()

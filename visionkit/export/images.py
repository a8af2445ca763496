"""The images by which a graph is traced and a file is compared with its model: those of a run, and noise."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from visionkit.models.export_info import takes_sizes

if TYPE_CHECKING:
    from visionkit.inference.predictor import Predictor

__all__ = [
    "Batches", "at_size", "batches", "example_inputs", "noise", "other_sizes", "random_images", "random_inputs",
    "read_images", "with_progress",
]  # fmt: skip

_SECONDS_BETWEEN_WORDS = 10.0

Batches = Iterable[tuple[str, Mapping[str, Tensor]]]
"""A name for messages, and the inputs of a file by name."""


def at_size(predictor: Predictor, size: tuple[int, int]) -> Predictor:
    """A predictor that resizes images to another height and width; the given one stays as it is."""
    resized, inference = copy.copy(predictor), copy.copy(predictor.inference)
    inference.transform = replace(inference.transform, image_size=size)
    inference.data = {**inference.data, "image_size": list(size)}
    resized.inference = inference
    return resized


def example_inputs(predictor: Predictor) -> dict[str, Tensor]:
    """Two images of different sizes without padding, by which a graph is traced."""
    size = predictor.inference.transform.padded_size(*predictor.image_size)
    return random_inputs(predictor.data, predictor.task, size=size)


def random_inputs(data: Mapping[str, Any], task: str, *, size: tuple[int, int]) -> dict[str, Tensor]:
    """As `example_inputs`, of any network.

    Args:
        data: As of `random_images`.
        task: Name of the task.
        size: Height and width in pixels.
    """
    height, width = size
    images = torch.stack(random_images(data, 2, size=size, seed=0))
    sizes = torch.tensor([[height, width], [max(1, height // 2), width]])
    return {"images": images} | ({"image_sizes": sizes} if takes_sizes(task) else {})


def batches(
    images: Sequence[Tensor], predictor: Predictor, *, sizes: Sequence[int] = (1, 3)
) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """Images in batches of each size, padded as in evaluation: unless given each alone, and by threes."""
    for size in sizes:
        for start in range(0, len(images), size):
            batch, image_sizes = predictor.inference.transform.pad_batch(images[start : start + size])
            name = f"image {start + 1}" if size == 1 else f"images {start + 1} to {start + len(batch)}"
            yield name, {"images": batch} | ({"image_sizes": image_sizes} if takes_sizes(predictor.task) else {})


def with_progress(pairs: Batches, on_progress: Callable[[str], None], *, of: int) -> Batches:
    """Batches as they are, with a word now and then of how far one has come.

    Args:
        pairs: The batches.
        on_progress: Called with the words.
        of: The number of images.
    """
    last = time.monotonic()
    for name, inputs in pairs:
        if time.monotonic() - last > _SECONDS_BETWEEN_WORDS:
            on_progress(f"comparing {name} of {of}")
            last = time.monotonic()
        yield name, inputs


def noise(predictor: Predictor, count: int, *, size: tuple[int, int] | None = None, seed: int = 1) -> list[Tensor]:
    """Images (C, H, W) of the run's dtype and size, or of another size, as `random_images`."""
    return random_images(predictor.data, count, size=size or predictor.image_size, seed=seed)


def random_images(data: Mapping[str, Any], count: int, *, size: tuple[int, int], seed: int = 1) -> list[Tensor]:
    """Images (C, H, W) whose values are drawn from 0..255 alike: uint8, or float32 for data of more than 8 bits.

    Args:
        data: The content of ``data.json``, of which channels and ``value_range`` are used.
        count: Their number.
        size: Height and width in pixels.
        seed: Of what is drawn.
    """
    shape = (count, data["in_channels"], *size)
    images = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed))
    return list(images.to(torch.uint8 if data.get("value_range") is None else torch.float32))


def read_images(predictor: Predictor, dataset: Any, count: int) -> list[Tensor]:
    """Evenly spaced images of a split, (C, h, w) of the run's dtype, resized but not padded."""
    return [loaded.pixels for _, loaded in predictor.inference.images(dataset, count)]


def other_sizes(size: tuple[int, int], *, multiple: int) -> list[tuple[int, int]]:
    """A smaller and a larger height and width than those of a run, and one of another shape, for files of any size.

    Args:
        size: Of the run.
        multiple: What all sides are multiples of; with 1 they are odd.
    """
    found = []
    for factors in ((0.8, 0.9), (1.3, 1.6), (2.1, 1.0)):
        scaled = [math.ceil(side * factor / multiple) * multiple for side, factor in zip(size, factors, strict=True)]
        height, width = (side | 1 if multiple == 1 else side for side in scaled)
        found.append((height, width))
    return found

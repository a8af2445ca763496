"""Sampling of anchors and proposals that depends on an image, not on the batch it is in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from visionkit.distributed.generators import seed_generators

__all__ = ["ImageSampler", "seeded"]


class ImageSampler:
    """torchvision's sampler of positives and negatives, with a seed of each image within `seeded`.

    Args:
        sampler: Labels of each image to masks of its positives and masks of its negatives.

    Attributes:
        seeds: One of each image of the batch; None draws from the state of the generator.
        num_sampled: How many the newest call has sampled, int64 ().
    """

    def __init__(self, sampler: Callable[[list[Tensor]], tuple[list[Tensor], list[Tensor]]]) -> None:
        self.sampler = sampler
        self.seeds: Sequence[int] | None = None
        self.num_sampled = torch.tensor(0)

    def __call__(self, labels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        if self.seeds is None:
            positives, negatives = self.sampler(labels)
        else:
            positives, negatives = [], []
            for seed, each in zip(self.seeds, labels, strict=True):
                seed_generators(seed, each.device)
                for masks, found in zip((positives, negatives), self.sampler([each]), strict=True):
                    masks += found
        self.num_sampled = torch.cat([*positives, *negatives]).count_nonzero()
        return positives, negatives


@contextmanager
def seeded(samplers: Sequence[ImageSampler], seeds: Sequence[int] | None, *, device: torch.device) -> Iterator[None]:
    """A context in which each image is sampled with its own seed; generators have their old state afterwards.

    Args:
        samplers: The samplers.
        seeds: One of each image of the batch; None for no effect.
        device: That of the labels.
    """
    if seeds is None:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        for sampler in samplers:
            sampler.seeds = seeds
        try:
            yield
        finally:
            for sampler in samplers:
                sampler.seeds = None

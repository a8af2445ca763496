"""Mixup and cutmix of a training batch on its device; settings: `visionkit.settings.mixing.Mix`."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import one_hot

from visionkit.data.sample_seeds import mix_seed
from visionkit.settings.mixing import Mix, is_within_last

__all__ = ["BatchMixing", "MixDraw", "cutmix", "mixup", "pair"]

_STREAM = 0x6D6978  # sets these draws apart from others of the same seed, epoch and step


@dataclass(frozen=True)
class MixDraw:
    """What a step mixes, equal in all processes.

    Attributes:
        share: What is left of each image itself, 0 to 1.
        box: Top, left, bottom and right of the part that cutmix takes from the other image, in pixels; None for mixup.
    """

    share: float
    box: tuple[int, int, int, int] | None


class BatchMixing:
    """Mixes the images of training batches and their targets, as ``recipe.mix`` says.

    An image's partner lies half a batch away, see `pair`: batches are shuffled in each epoch, so that pairs are drawn
    anew. Processes interleave the samples of the global batch, so that half of a process's part is half of the whole:
    pairs are the same on any number of processes that have an even number of images each.

    Args:
        mix: The settings.
        target: The key of the targets in a batch.
        num_classes: The number of classes.
        seed: The seed of the run.
        epochs: The number of epochs of the run.
    """

    def __init__(self, mix: Mix, *, target: str, num_classes: int, seed: int, epochs: int) -> None:
        self.mix, self.target, self.num_classes = mix, target, num_classes
        self.seed, self.epochs = seed, epochs

    def draw(self, epoch: int, step: int, image_size: tuple[int, int]) -> MixDraw | None:
        """What a step mixes, a function of seed, epoch and step alone; None for nothing."""
        mix = self.mix
        if is_within_last(mix.off_last, epoch / self.epochs):
            return None
        numbers = random.Random(mix_seed(self.seed, epoch, step, _STREAM))
        if numbers.random() >= mix.p:
            return None
        is_cutmix = not mix.mixup or (mix.cutmix > 0 and numbers.random() < 0.5)
        alpha = mix.cutmix if is_cutmix else mix.mixup
        share = numbers.betavariate(alpha, alpha)
        return _draw_box(share, image_size, numbers) if is_cutmix else MixDraw(share, None)

    def __call__(self, batch: dict[str, Tensor], *, epoch: int, step: int) -> dict[str, Tensor]:
        """Mix a batch, or return it as it is.

        Args:
            batch: ``images`` uint8 or float32 (B, C, H, W), and labels int64 (B,) or label sets uint8 (B, K).
            epoch: The epoch, from 0.
            step: The batch's number in its epoch.

        Returns:
            The batch with mixed images, in float32 after mixup, and the share of each class in them, float32 (B, K).
        """
        images, targets = batch["images"], batch[self.target]
        draw = self.draw(epoch, step, (images.shape[-2], images.shape[-1]))
        if draw is None:
            return batch
        mixed = mixup(images, draw.share) if draw.box is None else cutmix(images, draw.box)
        soft = one_hot(targets, self.num_classes) if targets.ndim == 1 else targets
        return {**batch, "images": mixed, self.target: mixup(soft, draw.share)}


def pair(values: Tensor) -> Tensor:
    """The value of each one's partner, half a batch further, (B, ...)."""
    return values.roll(len(values) // 2, 0)


def mixup(values: Tensor, share: float) -> Tensor:
    """``share`` of each value and the rest of its partner's (Zhang et al. 2018, arXiv:1710.09412, section 2).

    Images are normalised later, by a map that is linear, so that these are mixtures of normalised images.

    Args:
        values: Images or targets, (B, ...) of any number type.
        share: 0 to 1.

    Returns:
        float32 (B, ...), unrounded.
    """
    own = values.float()
    return pair(own).mul_(1.0 - share).add_(own, alpha=share)


def cutmix(images: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    """Each image with a part of its partner's (Yun et al. 2019, arXiv:1905.04899, section 3.1).

    Args:
        images: (B, C, H, W).
        box: Top, left, bottom and right of the part, in pixels.

    Returns:
        (B, C, H, W) of the same dtype.
    """
    top, left, bottom, right = box
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = pair(images[:, :, top:bottom, left:right])
    return mixed


def _draw_box(share: float, image_size: tuple[int, int], numbers: random.Random) -> MixDraw:
    """A box of ``1 - share`` of the area about a random centre, cut at the border; the share is that of its area."""
    height, width = image_size
    half = 0.5 * math.sqrt(1.0 - share)
    centre_y, centre_x = int(numbers.random() * height), int(numbers.random() * width)
    half_height, half_width = int(half * height), int(half * width)
    top, bottom = max(0, centre_y - half_height), min(height, centre_y + half_height)
    left, right = max(0, centre_x - half_width), min(width, centre_x + half_width)
    return MixDraw(1.0 - (bottom - top) * (right - left) / (height * width), (top, left, bottom, right))

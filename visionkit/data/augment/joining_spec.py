"""Specifications of augmentations that join an image with others of the training split; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from visionkit.data.augment.base import AugmentSpec
from visionkit.data.augment.values import Beta, Fill, Probability, Range

__all__ = ["CopyPasteSpec", "JoiningSpec", "MixupSpec", "MosaicSpec"]


@dataclass(frozen=True, kw_only=True)
class JoiningSpec(AugmentSpec):
    """An augmentation of an image and others, drawn from the training split.

    Its class takes the other fields as arguments, and is called with a list of samples at their sizes in the batch, the
    image itself first; it returns one sample. Its draws come from torch's default generator.

    Attributes:
        p: The probability that an image is joined.
        off_last: The share of the epochs, the last ones, in which none is.
    """

    p: Probability
    off_last: Probability = 0.1

    num_partners: ClassVar[int] = 1
    """How many other images it takes."""

    resizes: ClassVar[bool] = False
    """Whether it takes images before they are resized, in the place of the resizing; the class takes ``transform``."""

    def arguments(self) -> dict[str, Any]:
        return {key: value for key, value in super().arguments().items() if key not in ("p", "off_last")}


@dataclass(frozen=True, kw_only=True)
class MosaicSpec(JoiningSpec):
    """Four images around a random point, each at a random scale (Bochkovskiy et al. 2020, arXiv:2004.10934)."""

    p: Probability = 1.0
    scale_range: Range = (0.5, 1.5)
    fill: Fill = 114.0

    targets = ("boxes", "instances", "mask")
    needs_original = True
    num_partners = 3
    resizes = True


@dataclass(frozen=True, kw_only=True)
class CopyPasteSpec(JoiningSpec):
    """Pastes some objects, or classes of a mask, of another image (Ghiasi et al. 2021, arXiv:2012.07177)."""

    p: Probability = 0.5
    share: Probability = 0.5

    targets = ("instances", "mask")


@dataclass(frozen=True, kw_only=True)
class MixupSpec(JoiningSpec):
    """Blends with another image, and keeps the objects of both (Zhang et al. 2019, arXiv:1902.04103, section 3.1)."""

    p: Probability = 0.5
    alpha: Beta = 32.0
    fill: Fill = 114.0

    targets = ("boxes", "instances")
    elsewhere = "Labels are mixed by recipe.mix. "

"""The registry of augmentations: short names for classes of ``torchvision.transforms.v2``; needs no torch.

A specification has the arguments of its class and their defaults; their values are checked as torchvision does, because
the forms for whole batches do not build its classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from visionkit.data.augment.base import AugmentSpec
from visionkit.data.augment.values import (
    Angles,
    Count,
    Enlargement,
    Fill,
    Jitter,
    Limits,
    OptionalRange,
    Probability,
    Range,
    Shares,
    Shears,
)
from visionkit.registry import Registry, Row
from visionkit.sizes import Size

__all__ = ["AUGMENTATIONS", "AugmentSpec"]

_V2 = "torchvision.transforms.v2"


_JOINING = "visionkit.data.augment.joining"

AUGMENTATIONS: Registry[AugmentSpec] = Registry(
    "augmentation",
    {
        "copy_paste": Row(f"{_JOINING}_spec:CopyPasteSpec", f"{_JOINING}:CopyPaste"),
        "mixup": Row(f"{_JOINING}_spec:MixupSpec", f"{_JOINING}:Mixup"),
        "mosaic": Row(f"{_JOINING}_spec:MosaicSpec", f"{_JOINING}:Mosaic"),
    },
    base=AugmentSpec,
)


_LABELS = ("label", "label_set")
_OBJECTS = ("boxes", "instances")


@AUGMENTATIONS.register("random_crop", module=f"{_V2}:RandomCrop")
@dataclass(frozen=True, kw_only=True)
class RandomCropSpec(AugmentSpec):
    """A random part of the padded image, of the image's size."""

    padding: Count = 0
    padding_mode: Literal["constant", "edge", "reflect", "symmetric"] = "constant"

    targets = _LABELS
    sized = True


@AUGMENTATIONS.register("random_resized_crop", module=f"{_V2}:RandomResizedCrop")
@dataclass(frozen=True, kw_only=True)
class RandomResizedCropSpec(AugmentSpec):
    """A random part of the image, of random area and aspect ratio, resized (Szegedy et al. 2015, arXiv:1409.4842)."""

    scale: Range = (0.08, 1.0)
    ratio: Range = (3 / 4, 4 / 3)

    targets = (*_LABELS, "mask")
    needs_original = True
    sized = True


@AUGMENTATIONS.register("scale_jitter", module=f"{_V2}:ScaleJitter")
@dataclass(frozen=True, kw_only=True)
class ScaleJitterSpec(AugmentSpec):
    """Resizes to a random multiple of the size and crops at random (Ghiasi et al. 2021, arXiv:2012.07177)."""

    scale_range: Range = (0.1, 2.0)

    targets = (*_OBJECTS, "mask")
    needs_original = True


@AUGMENTATIONS.register("iou_crop", module=f"{_V2}:RandomIoUCrop")
@dataclass(frozen=True, kw_only=True)
class IouCropSpec(AugmentSpec):
    """A random part of the image that overlaps with an object (Liu et al. 2016, arXiv:1512.02325, section 2.2)."""

    min_scale: Probability = 0.3
    max_scale: Probability = 1.0
    min_aspect_ratio: float = 0.5
    max_aspect_ratio: float = 2.0

    targets = _OBJECTS
    needs_original = True


@AUGMENTATIONS.register("zoom_out", module=f"{_V2}:RandomZoomOut")
@dataclass(frozen=True, kw_only=True)
class ZoomOutSpec(AugmentSpec):
    """Places the image in a larger one (Liu et al. 2016, arXiv:1512.02325, section 3.6)."""

    fill: Fill = 0.0
    side_range: Enlargement = (1.0, 4.0)
    p: Probability = 0.5

    targets = (*_OBJECTS, "mask")
    needs_original = True


@AUGMENTATIONS.register("horizontal_flip", module=f"{_V2}:RandomHorizontalFlip")
@dataclass(frozen=True, kw_only=True)
class HorizontalFlipSpec(AugmentSpec):
    """Mirrors the image, left to right."""

    p: Probability = 0.5

    mirrors = True


@AUGMENTATIONS.register("vertical_flip", module=f"{_V2}:RandomVerticalFlip")
@dataclass(frozen=True, kw_only=True)
class VerticalFlipSpec(AugmentSpec):
    """Mirrors the image, top to bottom."""

    p: Probability = 0.5

    mirrors = True


@AUGMENTATIONS.register("rotation", module=f"{_V2}:RandomRotation")
@dataclass(frozen=True, kw_only=True)
class RotationSpec(AugmentSpec):
    """Rotates the image by some degrees."""

    degrees: Angles
    fill: Fill = 0.0

    smooth = True


@AUGMENTATIONS.register("affine", module=f"{_V2}:RandomAffine")
@dataclass(frozen=True, kw_only=True)
class AffineSpec(AugmentSpec):
    """Rotates, moves, scales and shears the image; degrees, and shares of its size."""

    degrees: Angles
    translate: Shares = None
    scale: OptionalRange = None
    shear: Shears = None
    fill: Fill = 0.0

    smooth = True


@AUGMENTATIONS.register("perspective", module=f"{_V2}:RandomPerspective")
@dataclass(frozen=True, kw_only=True)
class PerspectiveSpec(AugmentSpec):
    """Moves the corners of the image."""

    distortion_scale: Probability = 0.5
    p: Probability = 0.5
    fill: Fill = 0.0


@AUGMENTATIONS.register("color_jitter", module=f"{_V2}:ColorJitter")
@dataclass(frozen=True, kw_only=True)
class ColorJitterSpec(AugmentSpec):
    """Changes brightness, contrast, saturation and hue, in random order."""

    brightness: Jitter = None
    contrast: Jitter = None
    saturation: Jitter = None
    hue: Jitter = None

    changes_colours = True


@AUGMENTATIONS.register("photometric_distort", module=f"{_V2}:RandomPhotometricDistort")
@dataclass(frozen=True, kw_only=True)
class PhotometricDistortSpec(AugmentSpec):
    """Changes each of them with a probability (Liu et al. 2016, arXiv:1512.02325, section 2.2)."""

    brightness: Range = (0.875, 1.125)
    contrast: Range = (0.5, 1.5)
    saturation: Range = (0.5, 1.5)
    hue: Limits = (-0.05, 0.05)
    p: Probability = 0.5

    changes_colours = True


@AUGMENTATIONS.register("grayscale", module=f"{_V2}:RandomGrayscale")
@dataclass(frozen=True, kw_only=True)
class GrayscaleSpec(AugmentSpec):
    """Takes the colours away."""

    p: Probability = 0.1

    changes_colours = True


@AUGMENTATIONS.register("gaussian_blur", module=f"{_V2}:GaussianBlur")
@dataclass(frozen=True, kw_only=True)
class GaussianBlurSpec(AugmentSpec):
    """Blurs with a kernel of odd size, in pixels."""

    kernel_size: Annotated[int | tuple[int, int], Size(1000, example=3)]
    sigma: Jitter = (0.1, 2.0)

    def arguments(self) -> dict[str, Any]:
        """With the kernel as torchvision takes it, the width first."""
        size = self.kernel_size
        return {**super().arguments(), "kernel_size": size if isinstance(size, int) else size[::-1]}


@AUGMENTATIONS.register("random_erasing", module=f"{_V2}:RandomErasing")
@dataclass(frozen=True, kw_only=True)
class RandomErasingSpec(AugmentSpec):
    """Overwrites a rectangle with one value (Zhong et al. 2020, arXiv:1708.04896)."""

    p: Probability = 0.5
    scale: Limits = (0.02, 0.33)
    ratio: Limits = (0.3, 3.3)
    value: float = 0.0

    targets = _LABELS


@AUGMENTATIONS.register("trivial_augment", module=f"{_V2}:TrivialAugmentWide")
@dataclass(frozen=True, kw_only=True)
class TrivialAugmentSpec(AugmentSpec):
    """One random change of random strength (Mueller and Hutter 2021, arXiv:2103.10158)."""

    num_magnitude_bins: Count = 31

    targets = _LABELS
    changes_colours = True
    mirrors = True  # it turns by up to 135 degrees


@AUGMENTATIONS.register("rand_augment", module=f"{_V2}:RandAugment")
@dataclass(frozen=True, kw_only=True)
class RandAugmentSpec(AugmentSpec):
    """Some random changes of one strength (Cubuk et al. 2020, arXiv:1909.13719)."""

    num_ops: Count = 2
    magnitude: Count = 9

    targets = _LABELS
    changes_colours = True

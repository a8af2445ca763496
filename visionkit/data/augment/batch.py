"""Augmentations applied to a whole batch at once, with random parameters per image; torch-free at import.

Each is equivalent to the class of ``torchvision.transforms.v2`` that `visionkit.data.augment.spec` names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from visionkit.data.augment.spec import (
    AffineSpec,
    AugmentSpec,
    HorizontalFlipSpec,
    RandomCropSpec,
    RotationSpec,
    VerticalFlipSpec,
)

if TYPE_CHECKING:
    from torch import Tensor

    from visionkit.data.sample_seeds import Draws

__all__ = ["BATCH_TRANSFORMS", "BatchStep", "warp"]

BatchStep = Callable[["Tensor", "Draws"], "Tensor"]
"""Maps images uint8 (B, C, H, W) and their random numbers to augmented images of the same shape and dtype."""


@dataclass(frozen=True)
class _Flip:
    """Flips images about one axis; an object, as all steps: spawned workers cannot be given a closure."""

    axis: int
    spec: HorizontalFlipSpec | VerticalFlipSpec
    image_size: tuple[int, int]

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        import torch

        selected = draws.uniform() < self.spec.p
        return torch.where(selected[:, None, None, None], images.flip(self.axis), images)


@dataclass(frozen=True)
class _Crop:
    """Pads images and crops a random part of their size."""

    spec: RandomCropSpec
    image_size: tuple[int, int]

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        import torch
        from torchvision.transforms.v2 import functional

        padding, (height, width) = self.spec.padding, self.image_size
        padded = functional.pad(images, [padding] * 4, padding_mode=self.spec.padding_mode)
        count, channels = images.shape[:2]
        top, left = (draws.integers(2 * padding + 1)[:, None] for _ in range(2))
        rows = (top + torch.arange(height))[:, None, :, None]  # (B, 1, H, 1)
        columns = (left + torch.arange(width))[:, None, None, :]  # (B, 1, 1, W)
        flat = (rows * padded.shape[-1] + columns).flatten(2).expand(count, channels, height * width)
        cropped: Tensor = padded.flatten(2).gather(2, flat).view(count, channels, height, width)
        return cropped


@dataclass(frozen=True)
class _Affine:
    """Rotates, translates, scales and shears images."""

    spec: AffineSpec
    image_size: tuple[int, int]

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        import torch

        spec, count, (height, width) = self.spec, len(images), self.image_size
        degrees, shear = _symmetric(spec.degrees), _symmetric(spec.shear or 0.0)
        translate = spec.translate or (0.0, 0.0)
        scale = spec.scale or (1.0, 1.0)

        def draw(low: float, high: float) -> Tensor:
            return draws.uniform(low, high) if low < high else torch.full((count,), float(low))

        shift_x = draw(-translate[0] * width, translate[0] * width).round()
        shift_y = draw(-translate[1] * height, translate[1] * height).round()
        shear_y = draw(shear[2], shear[3]) if len(shear) == 4 else torch.zeros(count)
        return warp(
            images,
            angle=draw(degrees[0], degrees[1]),
            shift=torch.stack([shift_x, shift_y], dim=1),
            scale=draw(scale[0], scale[1]),
            shear=torch.stack([draw(shear[0], shear[1]), shear_y], dim=1),
            fill=spec.fill,
        )


def _rotation(spec: RotationSpec, image_size: tuple[int, int]) -> _Affine:
    low, high = _symmetric(spec.degrees)[:2]
    # torchvision rotates counter-clockwise in RandomRotation, clockwise in RandomAffine
    return _Affine(AffineSpec(degrees=(-high, -low), fill=spec.fill), image_size)


BATCH_TRANSFORMS: Mapping[type[AugmentSpec], Callable[[Any, tuple[int, int]], BatchStep]] = {
    HorizontalFlipSpec: partial(_Flip, -1),
    VerticalFlipSpec: partial(_Flip, -2),
    RandomCropSpec: _Crop,
    AffineSpec: _Affine,
    RotationSpec: _rotation,
}


def warp(images: Tensor, *, angle: Tensor, shift: Tensor, scale: Tensor, shear: Tensor, fill: float = 0.0) -> Tensor:
    """Rotate, shear, scale and translate each image of a batch about its centre, with bilinear interpolation.

    The matrix is that of torchvision's ``functional.affine``.

    Args:
        images: uint8 or float32 (B, C, H, W), 0..255.
        angle: float32 (B,), clockwise, in degrees.
        shift: float32 (B, 2), to the right and down, in pixels.
        scale: float32 (B,), the factor of enlargement.
        shear: float32 (B, 2), along x and y, in degrees.
        fill: The value outside the image, 0..255.

    Returns:
        (B, C, H, W) of the same dtype.
    """
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    height, width = images.shape[-2:]
    rot, shear_x, shear_y = (value * (math.pi / 180) for value in (angle, shear[:, 0], shear[:, 1]))
    a = torch.cos(rot - shear_y) / torch.cos(shear_y)
    b = -torch.cos(rot - shear_y) * torch.tan(shear_x) / torch.cos(shear_y) - torch.sin(rot)
    c = torch.sin(rot - shear_y) / torch.cos(shear_y)
    d = -torch.sin(rot - shear_y) * torch.tan(shear_x) / torch.cos(shear_y) + torch.cos(rot)
    inverse = torch.stack([d, -b, -c, a], dim=1).view(-1, 2, 2) / scale[:, None, None]  # output pixel -> input pixel
    start = -(inverse @ shift[:, :, None])  # (B, 2, 1)
    side = torch.tensor([width / 2, height / 2])  # grids run from -1 to 1 over each side
    theta = torch.cat([inverse * side / side[:, None], start / side[:, None]], dim=2)  # (B, 2, 3)
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    moved = grid_sample(images.float() - fill, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    moved += fill
    return moved.round_().clamp_(0, 255).to(torch.uint8) if images.dtype == torch.uint8 else moved


def _symmetric(value: float | Sequence[float]) -> Sequence[float]:
    """The range of a random parameter; a single number x means -x to x."""
    return (-value, value) if isinstance(value, (int, float)) else value

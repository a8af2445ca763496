"""From a file to an image, and from images to the size of a batch: one way for evaluation and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

if TYPE_CHECKING:
    pass

__all__ = [
    "InputTransform",
]

_MULTIPLE = 32
"""Sides of a ``resize_pad`` batch: few shapes, and whole cells at the strides of usual networks."""


@dataclass(frozen=True)
class InputTransform:
    """The ONE deterministic way from a decoded image to an image of the model's size.

    Attributes:
        image_size: Height and width of the result, in pixels.
        mode: ``resize`` stretches to the size. ``pad`` keeps the pixels: the image is laid in the middle of zeros,
            enlarged by the largest whole factor that fits and made smaller only where it does not fit.
            ``resize_crop`` brings the shorter side to ``image_size / crop_ratio`` and cuts out the centre.
            ``letterbox`` makes the image as large as fits with its proportions kept, lays it at the top left and
            fills up with zeros. ``resize_pad`` brings the shorter side to that of ``image_size``, or less where the
            longer one would exceed ``max_size``; a batch is filled up to its largest image.
        native: For ``pad``, height and width that the data set's images have; an image of another size is first
            brought to it, so that its strokes are as large as those which were trained on.
        crop_ratio: For ``resize_crop``; 0.875 is 224 out of 256, as is usual for ImageNet.
        max_size: For ``resize_pad``, the longest side allowed, in pixels; None allows any.
    """

    image_size: tuple[int, int]
    mode: Literal["resize", "pad", "resize_crop", "letterbox", "resize_pad"] = "resize"
    native: tuple[int, int] | None = None
    crop_ratio: float = 0.875
    max_size: int | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """Bring images to the size.

        Args:
            images: uint8 (C, H, W), or (B, C, H, W); a batch gives the same pixels as its images one by one.

        Returns:
            uint8 (C, h, w) or (B, C, h, w).
        """
        if self.mode == "pad":
            return self._pad(images)
        if self.mode == "resize_crop":
            return self._resize_crop(images)
        return self._fill_up(_resize(images, self.fitted_size(images.shape[-2], images.shape[-1])))

    def fitted_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that an image of this size gets from `fit`."""
        if self.mode not in ("letterbox", "resize_pad"):
            return self.image_size
        if self.mode == "letterbox":
            limit_height, limit_width = self.image_size
            scale = min(limit_height / height, limit_width / width)
        else:
            scale = min(self.image_size) / min(height, width)
            if self.max_size is not None:
                scale = min(scale, self.max_size / max(height, width))
            limit_height = limit_width = self.max_size or round(max(height, width) * scale)
        return max(1, min(limit_height, round(height * scale))), max(1, min(limit_width, round(width * scale)))

    def fit(self, image: Tensor) -> Tensor:
        """Bring one image to its size in a batch, before it is filled up with zeros.

        Args:
            image: uint8 (C, H, W).

        Returns:
            uint8 (C, h, w).
        """
        if self.mode in ("pad", "resize_crop"):
            return self(image)
        return _resize(image, self.fitted_size(image.shape[-2], image.shape[-1]))

    def pad_batch(self, images: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Lay images of different sizes in one batch, at the top left, with zeros beside and below.

        Args:
            images: At least one of uint8 (C, h, w), each as `fit` gives it.

        Returns:
            The batch, uint8 (B, C, H, W), and the height and width of each image in it, int64 (B, 2).
        """
        sizes = torch.tensor([image.shape[-2:] for image in images], dtype=torch.int64)
        height, width = self.padded_size(*sizes.amax(dim=0).tolist())
        if bool((sizes == sizes.new_tensor([height, width])).all()):
            return torch.stack(list(images)), sizes
        batch = torch.zeros((len(images), images[0].shape[0], height, width), dtype=torch.uint8)
        for row, image in zip(batch, images, strict=True):
            row[:, : image.shape[-2], : image.shape[-1]] = image
        return batch, sizes

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a batch whose largest image has this size."""
        if self.mode != "resize_pad":
            return self.image_size
        return -(-height // _MULTIPLE) * _MULTIPLE, -(-width // _MULTIPLE) * _MULTIPLE

    def _fill_up(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        batch_height, batch_width = self.padded_size(height, width)
        if (batch_height, batch_width) == (height, width):
            return images
        return torch.nn.functional.pad(images, [0, batch_width - width, 0, batch_height - height])

    def _pad(self, images: Tensor) -> Tensor:
        height, width = self.image_size
        base_height, base_width = self.native or (images.shape[-2], images.shape[-1])
        factor: float = min(height // base_height, width // base_width)
        if factor < 1:
            factor = min(height / base_height, width / base_width)
        box = (min(height, round(base_height * factor)), min(width, round(base_width * factor)))
        scale = min(box[0] / images.shape[-2], box[1] / images.shape[-1])
        inner = (
            max(1, min(height, round(images.shape[-2] * scale))),
            max(1, min(width, round(images.shape[-1] * scale))),
        )
        images = _resize(images, inner)
        top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
        if inner == self.image_size:
            return images
        return torch.nn.functional.pad(images, [left, width - inner[1] - left, top, height - inner[0] - top])

    def _resize_crop(self, images: Tensor) -> Tensor:
        from torchvision.transforms.v2 import functional

        height, width = self.image_size
        scale = max(
            round(height / self.crop_ratio) / images.shape[-2],
            round(width / self.crop_ratio) / images.shape[-1],
        )
        # the longer side is cut off to a whole number, as torchvision's Resize does
        inner_height = max(height, int(images.shape[-2] * scale + 1e-6))
        inner_width = max(width, int(images.shape[-1] * scale + 1e-6))
        cut: Tensor = functional.center_crop(_resize(images, (inner_height, inner_width)), [height, width])
        return cut


def _resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    if images.shape[-2:] == size:
        return images
    from torchvision.transforms.v2 import functional

    resized: Tensor = functional.resize(images, list(size), antialias=True)
    return resized

"""The deterministic resizing of images to the size of a batch, the same for evaluation and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

__all__ = ["InputTransform"]

_SIZE_DIVISIBILITY = 32
"""Sides of a ``resize_pad`` batch are multiples of this, for few distinct shapes and the strides of usual networks."""


@dataclass(frozen=True)
class InputTransform:
    """Resizes decoded images to the model's input size, without random changes.

    Attributes:
        image_size: Height and width of the result, in pixels.
        mode: ``resize`` stretches to ``image_size``. ``pad`` centres the image in zeros, enlarged by the largest
            integer factor that fits, or reduced if it does not fit. ``resize_crop`` resizes the shorter side to
            ``image_size / crop_ratio`` and crops the centre. ``letterbox`` resizes to the largest size that fits,
            keeping the aspect ratio, and pads with zeros on the right and below. ``resize_pad`` resizes the shorter
            side to that of ``image_size``, or less where the longer one would exceed ``max_size``; a batch is padded
            to its largest image.
        native: For ``pad``, height and width of the data set's images. An image of another size is first resized to
            fit it, so that objects have the scale seen in training.
        crop_ratio: For ``resize_crop``; 0.875 is 224 / 256, as usual for ImageNet.
        max_size: For ``resize_pad``, the maximum of the longer side, in pixels; None for no limit.
    """

    image_size: tuple[int, int]
    mode: Literal["resize", "pad", "resize_crop", "letterbox", "resize_pad"] = "resize"
    native: tuple[int, int] | None = None
    crop_ratio: float = 0.875
    max_size: int | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """Resize images, and pad them to their size in a batch.

        Args:
            images: uint8 (C, H, W) or (B, C, H, W), 0..255; a batch gives the same pixels as its single images.

        Returns:
            uint8 (C, h, w) or (B, C, h, w).
        """
        if self.mode == "pad":
            return self._pad(images)
        if self.mode == "resize_crop":
            return self._resize_crop(images)
        return self._pad_to_batch(_resize(images, self.fitted_size(images.shape[-2], images.shape[-1])))

    def fitted_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width, in pixels, of an image of this size after `fit`."""
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
        """Resize one image to its size in a batch, before padding.

        Args:
            image: uint8 (C, H, W), 0..255.

        Returns:
            uint8 (C, h, w).
        """
        if self.mode in ("pad", "resize_crop"):
            return self(image)
        return _resize(image, self.fitted_size(image.shape[-2], image.shape[-1]))

    def pad_batch(self, images: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Stack images of different sizes, padded with zeros on the right and below.

        Args:
            images: One or more outputs of `fit`, uint8 (C, h, w).

        Returns:
            The batch, uint8 (B, C, H, W), and height and width of each image before padding, int64 (B, 2).
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
        """Height and width of a batch whose largest image has this size, in pixels."""
        if self.mode != "resize_pad":
            return self.image_size
        return _round_up(height), _round_up(width)

    def _pad_to_batch(self, images: Tensor) -> Tensor:
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
        scaled_size = (min(height, round(base_height * factor)), min(width, round(base_width * factor)))
        scale = min(scaled_size[0] / images.shape[-2], scaled_size[1] / images.shape[-1])
        content_size = (
            max(1, min(height, round(images.shape[-2] * scale))),
            max(1, min(width, round(images.shape[-1] * scale))),
        )
        images = _resize(images, content_size)
        top, left = (height - content_size[0]) // 2, (width - content_size[1]) // 2
        if content_size == self.image_size:
            return images
        return torch.nn.functional.pad(
            images, [left, width - content_size[1] - left, top, height - content_size[0] - top]
        )

    def _resize_crop(self, images: Tensor) -> Tensor:
        from torchvision.transforms.v2 import functional

        height, width = self.image_size
        scale = max(
            round(height / self.crop_ratio) / images.shape[-2],
            round(width / self.crop_ratio) / images.shape[-1],
        )
        # the longer side is rounded down, as in torchvision's Resize
        inner_height = max(height, int(images.shape[-2] * scale + 1e-6))
        inner_width = max(width, int(images.shape[-1] * scale + 1e-6))
        cropped: Tensor = functional.center_crop(_resize(images, (inner_height, inner_width)), [height, width])
        return cropped


def _resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    if images.shape[-2:] == size:
        return images
    from torchvision.transforms.v2 import functional

    resized: Tensor = functional.resize(images, list(size), antialias=True)
    return resized


def _round_up(side: int) -> int:
    """The next multiple of the divisor of padded sizes."""
    return -(-side // _SIZE_DIVISIBILITY) * _SIZE_DIVISIBILITY

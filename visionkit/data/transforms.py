"""The deterministic resizing of images to the size of a batch, the same for evaluation and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from visionkit.data.resizing import resize_image

__all__ = ["SIZE_DIVISIBILITY", "InputTransform"]

SIZE_DIVISIBILITY = 32
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
            images: uint8 or float32 (C, H, W) or (B, C, H, W), 0..255; a batch gives the same pixels as its single
                images.

        Returns:
            (C, h, w) or (B, C, h, w) of the same dtype.
        """
        return self.pad(self.fit(images))

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

    def content_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width to which an image of this size is resized, before it is cropped or padded, in pixels."""
        if self.mode == "pad":
            return self._native_size(height, width)
        if self.mode != "resize_crop":
            return self.fitted_size(height, width)
        scale = max(
            round(self.image_size[0] / self.crop_ratio) / height, round(self.image_size[1] / self.crop_ratio) / width
        )
        # the longer side is rounded down, as in torchvision's Resize
        inner_height, inner_width = (int(side * scale + 1e-6) for side in (height, width))
        return max(self.image_size[0], inner_height), max(self.image_size[1], inner_width)

    def fit(self, image: Tensor) -> Tensor:
        """Resize one image, or a batch of one size, to its size in a batch, before padding.

        Args:
            image: uint8 or float32 (C, H, W) or (B, C, H, W), 0..255.

        Returns:
            (C, h, w) or (B, C, h, w) of the same dtype.
        """
        return self.place(resize_image(image, self.content_size(image.shape[-2], image.shape[-1])))

    def place(self, content: Tensor) -> Tensor:
        """Crop or pad an image of `content_size` where the mode does so for each image; else return it as it is."""
        if self.mode == "resize_crop":
            from torchvision.transforms.v2 import functional

            cropped: Tensor = functional.center_crop(content, list(self.image_size))
            return cropped
        height, width = content.shape[-2:]
        if self.mode != "pad" or (height, width) == self.image_size:
            return content
        top, left = (self.image_size[0] - height) // 2, (self.image_size[1] - width) // 2
        bottom, right = self.image_size[0] - height - top, self.image_size[1] - width - left
        return torch.nn.functional.pad(content, [left, right, top, bottom])

    def pad(self, fitted: Tensor) -> Tensor:
        """Pad the result of `fit` with zeros on the right and below to its size in a batch of its own."""
        height, width = fitted.shape[-2:]
        batch_height, batch_width = self.padded_size(height, width)
        if (batch_height, batch_width) == (height, width):
            return fitted
        return torch.nn.functional.pad(fitted, [0, batch_width - width, 0, batch_height - height])

    def pad_batch(self, images: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Stack images of different sizes, padded with zeros on the right and below.

        Args:
            images: One or more outputs of `fit`, (C, h, w), all uint8 or all float32.

        Returns:
            The batch, (B, C, H, W) of their dtype, and height and width of each image before padding, int64 (B, 2).
        """
        sizes = torch.tensor([image.shape[-2:] for image in images], dtype=torch.int64)
        height, width = self.padded_size(*sizes.amax(dim=0).tolist())
        if bool((sizes == sizes.new_tensor([height, width])).all()):
            return torch.stack(list(images)), sizes
        batch = torch.zeros((len(images), images[0].shape[0], height, width), dtype=images[0].dtype)
        for row, image in zip(batch, images, strict=True):
            row[:, : image.shape[-2], : image.shape[-1]] = image
        return batch, sizes

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a batch whose largest image has this size, in pixels."""
        if self.mode != "resize_pad":
            return self.image_size
        return _round_up(height), _round_up(width)

    def _native_size(self, height: int, width: int) -> tuple[int, int]:
        """The size in the frame of ``pad``: enlarged by a whole factor, or reduced."""
        limit_height, limit_width = self.image_size
        base_height, base_width = self.native or (height, width)
        factor: float = min(limit_height // base_height, limit_width // base_width)
        if factor < 1:
            factor = min(limit_height / base_height, limit_width / base_width)
        scaled_size = (min(limit_height, round(base_height * factor)), min(limit_width, round(base_width * factor)))
        scale = min(scaled_size[0] / height, scaled_size[1] / width)
        return (
            max(1, min(limit_height, round(height * scale))),
            max(1, min(limit_width, round(width * scale))),
        )


def _round_up(side: int) -> int:
    """The next multiple of the divisor of padded sizes."""
    return -(-side // SIZE_DIVISIBILITY) * SIZE_DIVISIBILITY

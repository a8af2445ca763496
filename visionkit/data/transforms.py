"""From a file to an image, and from an image to the one size of a batch: one way for evaluation and prediction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from visionkit.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Preprocess", "load_image", "read_size"]


@dataclass(frozen=True)
class Preprocess:
    """The ONE deterministic way from a decoded image to an image of the model's size.

    Attributes:
        image_size: Height and width of the result, in pixels.
        mode: ``resize`` stretches to the size. ``pad`` keeps the pixels: the image is laid in the middle of zeros,
            enlarged by the largest whole factor that fits and made smaller only where it does not fit.
            ``resize_crop`` brings the shorter side to ``image_size / crop_ratio`` and cuts out the centre.
        native: For ``pad``, height and width that the data set's images have; an image of another size is first
            brought to it, so that its strokes are as large as those which were trained on.
        crop_ratio: For ``resize_crop``; 0.875 is 224 out of 256, as is usual for ImageNet.
    """

    image_size: tuple[int, int]
    mode: Literal["resize", "pad", "resize_crop"] = "resize"
    native: tuple[int, int] | None = None
    crop_ratio: float = 0.875

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
        return _resize(images, self.image_size)

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


def load_image(path: str | Path, in_channels: int = 3) -> Tensor:
    """Decode one image file.

    EXIF orientation is applied, the first frame of an animation is taken, 16-bit values are brought to 8 bits,
    and what is transparent is laid over white.

    Args:
        path: The file.
        in_channels: 1 for grey, 3 for colour.

    Returns:
        uint8 (C, H, W), 0..255, contiguous.

    Raises:
        UserError: If the file is missing or no readable image; the message names it.
    """
    import numpy
    from PIL import Image, ImageOps

    if in_channels not in (1, 3):
        raise UserError(f"images are read with 1 channel (grey) or 3 (colour), not {in_channels}.")
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            pixels = numpy.array(_to_mode(upright, "L" if in_channels == 1 else "RGB"))
    except FileNotFoundError:
        raise UserError(f"image '{path}' does not exist.") from None
    except MemoryError:
        raise
    except Exception as error:
        reason = " ".join(str(error).replace(f"'{path}'", "").replace(str(path), "").split()) or type(error).__name__
        raise UserError(
            f"image '{path}' cannot be read: {reason}. Expected a whole JPEG, PNG, BMP, GIF, TIFF or WebP file. "
            "Replace or remove it."
        ) from None
    tensor = torch.from_numpy(pixels)
    return tensor[None] if in_channels == 1 else tensor.permute(2, 0, 1).contiguous()


def read_size(path: str | Path) -> tuple[int, int]:
    """Height and width of an image after its EXIF orientation, from the file's first bytes alone.

    Raises:
        UserError: If they cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except Exception as error:
        raise UserError(f"image '{path}' cannot be read: {error}.") from None
    return (width, height) if turned else (height, width)


def _resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    if images.shape[-2:] == size:
        return images
    from torchvision.transforms.v2 import functional

    resized: Tensor = functional.resize(images, list(size), antialias=True)
    return resized


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    """A Pillow image in mode ``L`` or ``RGB``."""
    import numpy
    from PIL import Image

    if image.mode.startswith("I"):  # 16-bit files; Pillow would clip them at 255
        values = numpy.asarray(image).astype(numpy.int64)
        if image.mode != "I" or values.max(initial=0) > 255:
            values = values // 257
        image = Image.fromarray(numpy.clip(values, 0, 255).astype(numpy.uint8))
    elif image.mode == "F":
        real = numpy.nan_to_num(numpy.asarray(image))
        real = real * 255 if real.size and real.max() <= 1 else real
        image = Image.fromarray(numpy.clip(numpy.rint(real), 0, 255).astype(numpy.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)

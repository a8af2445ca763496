"""Images in memory, of Pillow, NumPy or torch, read as files are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from visionkit.data.image_error import ImageError
from visionkit.data.image_modes import ImageKind, kind_of, sixteen_bit_colour
from visionkit.data.images import LoadedImage
from visionkit.data.pixels import match_channels, scale_values
from visionkit.data.resizing import resize_image

if TYPE_CHECKING:
    from visionkit.data.images import ImageReader, TargetSize

__all__ = ["is_image", "read_memory"]

_SHAPES = {
    np.ndarray: "an array is (H, W) or (H, W, C)",
    Tensor: "a tensor is (C, H, W)",
}
_MAX_CHANNELS = 16


def is_image(value: Any) -> bool:
    """Whether a value is one image: of Pillow's, a NumPy array of two or three axes, or a tensor of three."""
    if isinstance(value, np.ndarray):
        return value.ndim in (2, 3)
    return isinstance(value, Image.Image) or (isinstance(value, Tensor) and value.ndim in (2, 3))


def read_memory(reader: ImageReader, image: Any, *, name: str, target: TargetSize | None = None) -> LoadedImage:
    """An image in memory as the reader would read its file.

    Args:
        reader: The channels and the range of values that are wanted.
        image: A Pillow image, which stays as it is; a NumPy array (H, W) or (H, W, C); or a tensor (C, H, W). Arrays
            and tensors are uint8, 0..255; others are read by the reader's range of values.
        name: What messages call it.
        target: The size of the result; None keeps that of the image.

    Raises:
        ImageError: If shape, dtype or channels are others.
    """
    if isinstance(image, Image.Image):
        if not image.width or not image.height:
            raise ImageError(f"{name} has the size {image.width}x{image.height}. Expected at least one pixel.")
        if sixteen_bit_colour(image):
            _check_deep(reader, image, name)
        try:
            image.load()
        except (OSError, ValueError, SyntaxError) as error:
            raise ImageError(f"{name} cannot be read: {error}. Expected an open and whole image.") from error
        return reader.convert(image.copy(), name, target=target)  # a copy has no file, of which less could be decoded
    values = _values_of(image, name) if isinstance(image, Tensor) else image
    if isinstance(values, Tensor) and values.is_floating_point():
        values = values.float()  # NumPy has no bfloat16
    _check_shape(values, name)
    channels_last = values.permute(1, 2, 0).numpy() if isinstance(values, Tensor) else values
    channels_last = channels_last if channels_last.ndim == 3 else channels_last[..., None]
    if channels_last.dtype == np.uint8 and channels_last.shape[2] <= 4 and reader.in_channels in (1, 3):
        squeezed = channels_last[..., 0] if channels_last.shape[2] == 1 else channels_last
        return reader.convert(Image.fromarray(np.ascontiguousarray(squeezed)), name, target=target)
    return _convert_values(reader, channels_last, name, target)


def _values_of(image: Tensor, name: str) -> Tensor:
    """A tensor's values on the CPU, without gradients."""
    if image.is_meta:
        raise ImageError(f"{name} is a tensor on the device meta, which has no values. Expected one with values.")
    if image.layout != torch.strided:
        image = image.to_dense()
    return image.detach().cpu()


def _check_deep(reader: ImageReader, image: Image.Image, name: str) -> None:
    """Refuse a picture of which Pillow, other than this package of its file, would keep 8 of 16 bits."""
    if reader.on_kind is not None:
        reader.on_kind(kind_of(image), name)
    if reader.value_range is not None:
        raise ImageError(f"{name} has 16 bits for each colour, of which Pillow keeps 8. Expected the path of its file.")


def _convert_values(reader: ImageReader, values: Any, name: str, target: TargetSize | None) -> LoadedImage:
    """Values of more than 8 bits, or of other channels than 1 to 4."""
    height, width, channels = values.shape
    if channels != reader.in_channels and not (channels in (1, 3) and reader.in_channels in (1, 3)):
        raise ImageError(
            f"{name} has {channels} channels, and the model takes {reader.in_channels}. "
            f"Expected an image of {reader.in_channels} channels."
        )
    if reader.on_kind is not None:
        reader.on_kind(ImageKind(str(values.dtype), channels, False, values.dtype != np.uint8), name)
    if values.dtype != np.uint8 and reader.value_range is None:
        raise ImageError(f"{name} has values of type {values.dtype}. Expected uint8, 0 to 255.")
    tensor = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1).astype(np.float32)))
    if values.dtype != np.uint8 and reader.value_range is not None:
        tensor = scale_values(tensor, reader.value_range)
    elif reader.value_range is None:
        tensor = tensor.to(torch.uint8)
    tensor = match_channels(tensor, reader.in_channels)
    tensor = tensor if target is None else resize_image(tensor, target(height, width))
    return LoadedImage(tensor.contiguous(), (height, width))


def _check_shape(values: Any, name: str) -> None:
    """Refuse other numbers of axes, sides of no pixel, and axes in another order."""
    kind = Tensor if isinstance(values, Tensor) else np.ndarray
    shape = tuple(values.shape)
    axes = len(shape)
    right = axes == 3 or (axes == 2 and kind is np.ndarray)
    channels = shape[0 if kind is Tensor else -1] if axes == 3 else 1
    hint = ""
    if axes == 3 and channels > _MAX_CHANNELS and min(shape) <= _MAX_CHANNELS:
        hint = " Try: image.permute(2, 0, 1)" if kind is Tensor else " Try: image.transpose(1, 2, 0)"
    if not right or min(shape) < 1 or channels > _MAX_CHANNELS:
        raise ImageError(
            f"{name} has the shape {shape}, and {_SHAPES[kind]}, of at least one pixel and at most {_MAX_CHANNELS} "
            f"channels.{hint}"
        )

"""The values of mask files, ids or colours, and their mapping to class ids; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

from visionkit.data.arrays import ArrayImage
from visionkit.data.image_error import DATASET_ADVICE, ImageError
from visionkit.data.image_header import TURNS, header_of, lift_limit, open_image
from visionkit.data.memory import check_memory
from visionkit.data.tiff_bands import TiffBands
from visionkit.errors import UserError
from visionkit.structures.class_ids import IGNORE_INDEX

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "PALETTE_MODES",
    "ValueTable",
    "colours_of",
    "encode_colour",
    "format_colour",
    "has_colours",
    "ids_of",
    "open_mask",
    "read_mask",
]

PALETTE_MODES = ("P", "PA")
"""Pillow's modes of images with a palette."""

_MAX_COLOURS = 1 << 16
_MAX_UNCHECKED = 1 << 27
_BYTES_PER_PIXEL = 16
"""Pillow's, and those of the colours or ids and of what is computed from them."""
_MAX_ID = (1 << 16) - 1


@dataclass(frozen=True)
class ValueTable:
    """Maps the values of mask files to class ids.

    Attributes:
        classes: Class ids from 0, by value; other values are ignored. The value of a colour is its `encode_colour`.
        coloured: Whether values are colours.
    """

    classes: Mapping[int, int]
    coloured: bool = False

    def translate(self, values: NDArray[Any]) -> NDArray[Any]:
        """Map values, integers (H, W), to class ids, uint8 (H, W), `IGNORE_INDEX` for other values."""
        ids: NDArray[Any] = self._lookup[values]
        return ids

    @cached_property
    def _lookup(self) -> NDArray[Any]:
        table = numpy.full(1 << (24 if self.coloured else 16), IGNORE_INDEX, dtype=numpy.uint8)
        table[list(self.classes)] = list(self.classes.values())
        return table


def encode_colour(red: int, green: int, blue: int) -> int:
    """Encode a colour, 0..255 per channel, as one integer, ``0xRRGGBB``."""
    return red << 16 | green << 8 | blue


def format_colour(code: int) -> str:
    """Format an encoded colour as in configurations: ``"128,64,0"``."""
    return f"{code >> 16},{code >> 8 & 255},{code & 255}"


def read_mask(path: str | Path, *, coloured: bool | None) -> NDArray[Any]:
    """Read the values of a mask file, upright: encoded colours int32 (H, W), or ids uint8 or uint16 (H, W).

    Args:
        path: A PNG or another lossless image.
        coloured: Whether to read colours; else the ids of a palette or grey image, the first channel of others. None
            reads colours where channels differ.

    Raises:
        UserError: If the file cannot be read, or holds no ids from 0 to 65,535.
    """
    with open_mask(path) as image:
        if coloured is None:
            coloured = image.mode not in PALETTE_MODES and has_colours(image)
        return colours_of(image) if coloured else ids_of(image, path)


def colours_of(image: Image.Image) -> NDArray[Any]:
    """Encoded colours, int32 (H, W); transparency is left out."""
    if image.mode.startswith(("I", "F")):  # Pillow converts not all of them to RGB
        greys: NDArray[Any] = numpy.clip(numpy.nan_to_num(numpy.asarray(image)), 0, 255).astype(numpy.int32)
        greys = greys << 16 | greys << 8 | greys
        return greys
    pixels = numpy.asarray(image.convert("RGB")).astype(numpy.int32)
    values: NDArray[Any] = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    return values


def ids_of(image: Image.Image, path: str | Path) -> NDArray[Any]:
    """Ids, uint8 or uint16 (H, W): of several channels the first, but for those that are no RGB.

    Raises:
        UserError: If a value is no id; ``path`` is what the message calls the mask.
    """
    is_other = len(image.getbands()) >= 3 and image.mode not in ("RGB", "RGBA", "RGBX")
    pixels: NDArray[Any] = numpy.asarray(image.convert("RGB") if is_other else image)
    pixels = pixels[..., 0] if pixels.ndim == 3 else pixels
    if pixels.dtype == numpy.uint8:
        return pixels
    if pixels.dtype == numpy.bool_:
        return pixels.astype(numpy.uint8)
    valid = (pixels >= 0) & (pixels <= _MAX_ID)
    valid &= numpy.where(valid, pixels, 0).astype(numpy.int64) == pixels
    if not valid.all():
        raise UserError(
            f"mask '{path}' holds the value {pixels[~valid][0]}. Expected whole numbers from 0 to {_MAX_ID:,} as ids."
        )
    return pixels.astype(numpy.uint16)


def has_colours(image: Image.Image) -> bool:
    """Whether the channels of an image without a palette differ in a pixel."""
    if len(image.getbands()) < 3:
        return False
    colours = image.convert("RGB").getcolors(_MAX_COLOURS)
    return colours is None or any(not red == green == blue for _, (red, green, blue) in colours)  # type: ignore[misc]


def open_mask(path: str | Path, *, max_pixels: int | None = None) -> Image.Image:
    """Decode a mask file, turned upright by its own EXIF orientation, as images are.

    Args:
        path: An image file, or an array (``.npy``) of ids (H, W), or of colours, uint8 (H, W, 3).
        max_pixels: Larger masks are an error before they are decoded; None for any size that fits into memory.

    Raises:
        ImageError: If the file cannot be read, or is too large.
    """
    with open_image(path, kind="mask") as opened:
        _check_size(path, opened.size, max_pixels)
        image = _array_as_image(opened) if isinstance(opened, ArrayImage) else opened
        if isinstance(image, TiffBands):
            raise ValueError("it has other bands than grey, palette or RGB")
        orientation = header_of(image).orientation
        lift_limit(image)
        image.load()
        return _turned(image, orientation)


def _check_size(path: str | Path, size: tuple[int, int], max_pixels: int | None) -> None:
    width, height = size
    pixels = height * width
    if max_pixels is not None and pixels > max_pixels:
        raise ImageError(
            f"mask '{path}' has {width:,} x {height:,} pixels, more than "
            f"{DATASET_ADVICE.limit.format(limit=max_pixels)}. {DATASET_ADVICE.too_large.format(pixels=pixels)}",
            code="image-too-large",
        )
    if pixels > _MAX_UNCHECKED:
        check_memory(path, (height, width), _BYTES_PER_PIXEL * pixels)


def _array_as_image(opened: ArrayImage) -> Image.Image:
    """An array as an image of Pillow's of mode 1, L, I;16, I, F, RGB or RGBA.

    Raises:
        ValueError: If it has other channels, or integers that are no ids.
    """
    from PIL import Image

    array = opened.array[..., 0] if opened.array.ndim == 3 and opened.bands == 1 else opened.array
    if array.ndim == 3 and (opened.bands not in (3, 4) or array.dtype != numpy.uint8):
        raise ValueError(
            f"it is an array {array.shape} of {array.dtype.name}, and no ids (H, W) or colours (H, W, 3) of uint8"
        )
    if opened.mode == "I":
        limits = numpy.iinfo(numpy.int32)  # values beyond remain no ids
        array = array.clip(max(limits.min, numpy.iinfo(array.dtype).min), min(limits.max, numpy.iinfo(array.dtype).max))
        array = array.astype(numpy.int32)
    return Image.fromarray(numpy.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")))


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    """A decoded image, turned upright by the orientation of EXIF, 1 to 8; others are upright."""
    from PIL.Image import Transpose

    if orientation not in TURNS:
        return image
    is_transposed, mirrored = TURNS[orientation]
    steps = [Transpose.TRANSPOSE] if is_transposed else []
    steps += [Transpose.FLIP_LEFT_RIGHT if axis == -1 else Transpose.FLIP_TOP_BOTTOM for axis in mirrored]
    turned = image
    for step in steps:
        turned = turned.transpose(step)
    turned.format = image.format
    return turned

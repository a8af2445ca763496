"""The values of mask files, ids or colours, and their mapping to class ids; without torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

from visionkit.data.image_header import safe_formats
from visionkit.errors import UserError
from visionkit.structures.class_ids import IGNORE_INDEX

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "MaskContents",
    "ValueCounts",
    "ValueTable",
    "encode_colour",
    "format_colour",
    "is_coloured",
    "read_contents",
    "read_mask",
]

_MAX_COLOURS = 1 << 16
_MAX_ID = (1 << 16) - 1
_PALETTE = ("P", "PA")


@dataclass(frozen=True)
class ValueCounts:
    """How many pixels of one or more masks have which value.

    Attributes:
        values: int64 (n,), distinct ids or encoded colours, ascending.
        pixels: int64 (n,), the number of pixels of each, at least 1.
    """

    values: NDArray[Any]
    pixels: NDArray[Any]

    @classmethod
    def merge(cls, counts: Sequence[ValueCounts]) -> ValueCounts:
        """The counts of several masks together."""
        values, rows = numpy.unique(numpy.concatenate([each.values for each in counts]), return_inverse=True)
        pixels = numpy.zeros(len(values), dtype=numpy.int64)
        numpy.add.at(pixels, rows, numpy.concatenate([each.pixels for each in counts]))
        return cls(values, pixels)

    def without(self, excluded: Collection[int]) -> ValueCounts:
        """The counts of the other values."""
        keep = ~numpy.isin(self.values, list(excluded))
        return ValueCounts(self.values[keep], self.pixels[keep])


@dataclass(frozen=True)
class MaskContents:
    """What a mask file holds.

    Attributes:
        size: Height and width, in pixels.
        is_coloured: Whether the values are colours.
        counts: The values and how many pixels have them.
    """

    size: tuple[int, int]
    is_coloured: bool
    counts: ValueCounts


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


def read_mask(path: str | Path, *, coloured: bool) -> NDArray[Any]:
    """Read the values of a mask file: encoded colours int32 (H, W), or ids uint16 (H, W).

    Args:
        path: A PNG or another lossless image.
        coloured: Whether to read colours; else the ids of a palette or grey image, the first channel of others.

    Raises:
        UserError: If the file cannot be read, or holds no ids from 0 to 65,535.
    """
    with _open_mask(path) as image:
        return _colours(image) if coloured else _ids(image, path)


def is_coloured(path: str | Path) -> bool | None:
    """Whether a mask file holds colours; None for a palette image, which can be read as ids or as colours.

    Raises:
        UserError: If the file cannot be read.
    """
    with _open_mask(path) as image:
        return None if image.mode in _PALETTE else _has_colours(image)


def read_contents(path: str | Path, *, coloured: bool) -> MaskContents:
    """Count the values of a mask file: as ids, unless the file has colours.

    Args:
        path: The file.
        coloured: Whether colours are expected: files with a palette or three channels are then read as colours.

    Raises:
        UserError: As `read_mask`.
    """
    with _open_mask(path) as image:
        has_bands = image.mode in _PALETTE or len(image.getbands()) >= 3
        as_colours = has_bands if coloured else image.mode not in _PALETTE and _has_colours(image)
        pixels = _colours(image) if as_colours else _ids(image, path)
    if as_colours:
        values, counts = numpy.unique(pixels, return_counts=True)
    else:
        every_count = numpy.bincount(pixels.ravel())
        values = numpy.flatnonzero(every_count)
        counts = every_count[values]
    size = (pixels.shape[0], pixels.shape[1])
    return MaskContents(size, as_colours, ValueCounts(values.astype(numpy.int64), counts.astype(numpy.int64)))


def _colours(image: Image.Image) -> NDArray[Any]:
    """Encoded colours, int32 (H, W); transparency is left out."""
    if image.mode.startswith(("I", "F")):  # Pillow converts not all of them to RGB
        greys: NDArray[Any] = numpy.clip(numpy.nan_to_num(numpy.asarray(image)), 0, 255).astype(numpy.int32)
        greys = greys << 16 | greys << 8 | greys
        return greys
    pixels = numpy.asarray(image.convert("RGB")).astype(numpy.int32)
    values: NDArray[Any] = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    return values


def _ids(image: Image.Image, path: str | Path) -> NDArray[Any]:
    """Ids, uint16 (H, W): of several channels the first, but for those that are no RGB."""
    is_other = len(image.getbands()) >= 3 and image.mode not in ("RGB", "RGBA", "RGBX")
    pixels = numpy.array(image.convert("RGB") if is_other else image)
    pixels = pixels[..., 0] if pixels.ndim == 3 else pixels
    if pixels.dtype == numpy.uint8 or pixels.dtype == numpy.bool_:
        return pixels.astype(numpy.uint16)
    valid = (pixels >= 0) & (pixels <= _MAX_ID)
    valid &= numpy.where(valid, pixels, 0).astype(numpy.int64) == pixels
    if not valid.all():
        raise UserError(
            f"mask '{path}' holds the value {pixels[~valid][0]}. Expected whole numbers from 0 to {_MAX_ID:,} as ids."
        )
    return pixels.astype(numpy.uint16)


def _has_colours(image: Image.Image) -> bool:
    """Whether the channels of an image without a palette differ in a pixel."""
    if len(image.getbands()) < 3:
        return False
    colours = image.convert("RGB").getcolors(_MAX_COLOURS)
    return colours is None or any(not red == green == blue for _, (red, green, blue) in colours)  # type: ignore[misc]


def _open_mask(path: str | Path) -> Image.Image:
    from PIL import Image

    try:
        image = Image.open(path, formats=safe_formats())
        image.load()
    except MemoryError:
        raise
    except Exception as error:
        reason = " ".join(str(error).replace(f"'{path}'", "").replace(str(path), "").split()) or type(error).__name__
        raise UserError(f"mask '{path}' cannot be read: {reason}. Expected a whole PNG file.") from None
    return image

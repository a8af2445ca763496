"""What a mask file holds: which values, how many pixels of each, and in which colours; without torch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

from visionkit.data.mask_values import PALETTE_MODES, colours_of, encode_colour, has_colours, ids_of, open_mask

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["MaskContents", "ValueCounts", "read_contents"]

_LOSSY_FORMATS = ("JPEG", "MPO", "AVIF", "HEIF")


@dataclass(frozen=True)
class ValueCounts:
    """How many pixels of one or more masks have which value.

    Attributes:
        values: int64 (n,), distinct ids or encoded colours, ascending.
        pixels: int64 (n,), the number of pixels of each, at least 1.
        solid: int64 (n,), of these the pixels whose right and lower neighbours have the same value: areas have many,
            smoothed edges and noise few.
    """

    values: NDArray[Any]
    pixels: NDArray[Any]
    solid: NDArray[Any]

    @classmethod
    def of(cls, mask: NDArray[Any]) -> ValueCounts:
        """The counts of one mask, integers (H, W), by runs of equal values."""
        flat, width = mask.ravel(), mask.shape[1]
        differs = flat[1:] != flat[:-1]  # from the right neighbour, and at the end of a row from the next row
        is_rough = flat[width:] != flat[:-width]
        is_rough |= differs[: len(is_rough)]
        is_rough[width - 1 :: width] = True
        rough = numpy.concatenate([flat[:-width][is_rough], flat[-width:]])
        starts = numpy.flatnonzero(differs) + 1
        starts = numpy.concatenate([[0], starts])
        values, pixels = _count(flat[starts], numpy.diff(starts, append=len(flat)))
        rough_values, rough_pixels = _count(rough, None)
        solid = pixels.copy()
        solid[numpy.searchsorted(values, rough_values)] -= rough_pixels
        return cls(values, pixels, solid)

    @classmethod
    def merge(cls, counts: Sequence[ValueCounts]) -> ValueCounts:
        """The counts of several masks together."""
        values, rows = numpy.unique(numpy.concatenate([each.values for each in counts]), return_inverse=True)
        pixels, solid = (numpy.zeros(len(values), dtype=numpy.int64) for _ in range(2))
        numpy.add.at(pixels, rows, numpy.concatenate([each.pixels for each in counts]))
        numpy.add.at(solid, rows, numpy.concatenate([each.solid for each in counts]))
        return cls(values, pixels, solid)

    def select(self, keep: NDArray[Any]) -> ValueCounts:
        """The counts at these positions, bool or int64."""
        return ValueCounts(self.values[keep], self.pixels[keep], self.solid[keep])

    def without(self, excluded: Collection[int]) -> ValueCounts:
        """The counts of the other values."""
        return self.select(~numpy.isin(self.values, list(excluded)))


@dataclass(frozen=True)
class MaskContents:
    """What a mask file holds.

    Attributes:
        size: Height and width of the upright mask, in pixels.
        is_coloured: Whether the values are colours.
        counts: The values and how many pixels have them.
        is_lossy: Whether the file's form changes values, as JPEG does.
        palette: int64 (n,), the `encode_colour` in which a palette draws each value; None without a palette.
    """

    size: tuple[int, int]
    is_coloured: bool
    counts: ValueCounts
    is_lossy: bool
    palette: NDArray[Any] | None


def read_contents(path: str | Path, *, coloured: bool, max_pixels: int | None = None) -> MaskContents:
    """Count the values of a mask file: as ids, unless the file has colours.

    Args:
        path: The file.
        coloured: Whether colours are expected: files with a palette or three channels are then read as colours.
        max_pixels: Larger masks are an error before they are decoded; None for any size that fits into memory.

    Raises:
        UserError: As `visionkit.data.mask_values.read_mask`.
    """
    with open_mask(path, max_pixels=max_pixels) as image:
        has_bands = image.mode in PALETTE_MODES or len(image.getbands()) >= 3
        as_colours = has_bands if coloured else image.mode not in PALETTE_MODES and has_colours(image)
        pixels = colours_of(image) if as_colours else ids_of(image, path)
        counts = ValueCounts.of(pixels)
        is_lossy = image.format in _LOSSY_FORMATS or image.info.get("compression") == "jpeg"
        palette = None if as_colours or image.mode not in PALETTE_MODES else _palette(image, counts.values)
    return MaskContents((pixels.shape[0], pixels.shape[1]), as_colours, counts, is_lossy, palette)


def _count(values: NDArray[Any], lengths: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """The distinct values among (m,), ascending, and the number of each, int64; ``lengths`` are those of runs."""
    if values.dtype.itemsize <= 2:
        counts = numpy.bincount(values, weights=lengths).astype(numpy.int64)
        found = numpy.flatnonzero(counts)
        return found, counts[found]
    found, rows = numpy.unique(values, return_inverse=True)
    return found.astype(numpy.int64), numpy.bincount(rows, weights=lengths).astype(numpy.int64)


def _palette(image: Image.Image, values: NDArray[Any]) -> NDArray[Any]:
    colours = numpy.array(image.getpalette("RGB") or [], dtype=numpy.int64).reshape(-1, 3)
    table = numpy.zeros((1 << 8, 3), dtype=numpy.int64)
    table[: len(colours)] = colours
    red, green, blue = table[values].T
    codes: NDArray[Any] = encode_colour(red, green, blue)  # type: ignore[arg-type, assignment]
    return codes

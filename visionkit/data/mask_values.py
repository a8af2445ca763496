"""The values of mask files, ids or colours, and their mapping to class ids; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

from visionkit.errors import UserError
from visionkit.structures.class_ids import IGNORE_INDEX

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ValueTable", "encode_colour", "format_colour", "unique_values", "is_coloured", "read_mask"]

_MAX_COLOURS = 1 << 16


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
        coloured: Whether to read colours; else the ids of a palette or grey image.

    Raises:
        UserError: If the file cannot be read.
    """
    with _open_mask(path) as image:
        if coloured:
            pixels = numpy.asarray(image.convert("RGB")).astype(numpy.int32)
            values: NDArray[Any] = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
            return values
        pixels = numpy.array(image)
        pixels = pixels[..., 0] if pixels.ndim == 3 else pixels
        return numpy.clip(pixels, 0, (1 << 16) - 1).astype(numpy.uint16)


def is_coloured(path: str | Path) -> bool | None:
    """Whether a mask file holds colours; None for a palette image, which can be read as ids or as colours.

    Raises:
        UserError: If the file cannot be read.
    """
    with _open_mask(path) as image:
        if image.mode == "P":
            return None
        if len(image.getbands()) < 3:
            return False
        colours = image.convert("RGB").getcolors(_MAX_COLOURS)
        return colours is None or any(not red == green == blue for _, (red, green, blue) in colours)  # type: ignore[misc]


def unique_values(path: str | Path, *, coloured: bool) -> tuple[tuple[int, int], frozenset[int]]:
    """Height and width of a mask file, in pixels, and its distinct values.

    Args:
        path: The file.
        coloured: As for `read_mask`.

    Raises:
        UserError: If the file cannot be read.
    """
    values = read_mask(path, coloured=coloured)
    size = (values.shape[0], values.shape[1])
    if coloured:
        return size, frozenset(numpy.unique(values).tolist())
    return size, frozenset(numpy.flatnonzero(numpy.bincount(values.ravel())).tolist())


def _open_mask(path: str | Path) -> Image.Image:
    from PIL import Image

    try:
        image = Image.open(path)
        image.load()
    except MemoryError:
        raise
    except Exception as error:
        reason = " ".join(str(error).replace(f"'{path}'", "").replace(str(path), "").split()) or type(error).__name__
        raise UserError(f"mask '{path}' cannot be read: {reason}. Expected a whole PNG file.") from None
    return image

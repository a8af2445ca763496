"""Mask files as numbers: the ids or colours of their pixels, and which class each of them means; without torch."""

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

__all__ = ["ValueTable", "code_of", "colour_of", "found_values", "is_coloured", "read_mask"]

_MOST_COLOURS = 1 << 16


@dataclass(frozen=True)
class ValueTable:
    """Which class the values of mask files mean.

    Attributes:
        classes: Class ids from 0 by value; values that are not there are ignored. A colour's value is its `code_of`.
        coloured: Whether values are colours.
    """

    classes: Mapping[int, int]
    coloured: bool = False

    def translate(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values (H, W) to class ids, uint8 (H, W), `IGNORE_INDEX` where there is none."""
        ids: NDArray[Any] = self._lookup[values]
        return ids

    @cached_property
    def _lookup(self) -> NDArray[Any]:
        table = numpy.full(1 << (24 if self.coloured else 16), IGNORE_INDEX, dtype=numpy.uint8)
        table[list(self.classes)] = list(self.classes.values())
        return table


def code_of(red: int, green: int, blue: int) -> int:
    """A colour as one number."""
    return red << 16 | green << 8 | blue


def colour_of(code: int) -> str:
    """A colour as configurations write it: ``"128,64,0"``."""
    return f"{code >> 16},{code >> 8 & 255},{code & 255}"


def read_mask(path: str | Path, *, coloured: bool) -> NDArray[Any]:
    """The values of a mask's pixels, whole numbers (H, W).

    Args:
        path: A PNG or another lossless image.
        coloured: Whether they are colours; else the ids of an index or grey image.

    Raises:
        UserError: If the file cannot be read.
    """
    with _opened(path) as image:
        if coloured:
            pixels = numpy.asarray(image.convert("RGB")).astype(numpy.int32)
            values: NDArray[Any] = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
            return values
        pixels = numpy.array(image)
        pixels = pixels[..., 0] if pixels.ndim == 3 else pixels
        return numpy.clip(pixels, 0, (1 << 16) - 1).astype(numpy.uint16)


def is_coloured(path: str | Path) -> bool | None:
    """Whether a mask's pixels are colours; None where they are either ids or, by the file's palette, colours.

    Raises:
        UserError: If the file cannot be read.
    """
    with _opened(path) as image:
        if image.mode == "P":
            return None
        if len(image.getbands()) < 3:
            return False
        colours = image.convert("RGB").getcolors(_MOST_COLOURS)
        return colours is None or any(not red == green == blue for _, (red, green, blue) in colours)  # type: ignore[misc]


def found_values(path: str | Path, *, coloured: bool) -> tuple[tuple[int, int], frozenset[int]]:
    """Height and width of a mask, and the values of its pixels.

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


def _opened(path: str | Path) -> Image.Image:
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

"""Images that are arrays of numpy in files, ``.npy``."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from visionkit.data.image_error import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["ARRAY_MARK", "ArrayImage"]

ARRAY_MARK = b"\x93NUMPY"
_MAX_BANDS = 16
_INTEGERS = ("int8", "int16", "int32", "int64", "uint32", "uint64")
_MODES = {"bool": "bands", "uint8": "bands", "uint16": "I;16", "float32": "F", **dict.fromkeys(_INTEGERS, "I")}


class ArrayImage:
    """An array (H, W) or (H, W, C) of bool, integers or float32 in a file, of which nothing is read until it is needed.

    Attributes:
        size: Width and height, as those of Pillow's images.
        bands: The number of channels.
        mode: As those of Pillow: ``bands`` for bool and uint8, ``I;16`` for uint16, ``I`` for other integers, ``F`` for
            floats.
    """

    format = "NPY"

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self.size, self.bands = (array.shape[1], array.shape[0]), 1 if array.ndim == 2 else array.shape[2]
        self.mode = _MODES[array.dtype.newbyteorder("=").name]
        self.info: dict[str, Any] = {}

    @classmethod
    def open(cls, file: BinaryIO, path: str) -> ArrayImage:
        """Read the header, which is no code (NEP 1), and map the values into memory.

        Args:
            file: The opened file.
            path: Its path.

        Raises:
            ImageError: If the array is none of an image, or the file is shorter than its header says.
        """
        import numpy
        from numpy.lib import format as npy

        file.seek(0)
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise _error(path, f"a file of version {version[0]}.{version[1]}")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, is_fortran, dtype = read(file)
        if dtype.newbyteorder("=").name not in _MODES:
            raise _error(path, f"values of the type {dtype.name if dtype.names is None else 'record'}")
        if len(shape) not in (2, 3) or not all(shape) or (len(shape) == 3 and shape[2] > _MAX_BANDS):
            raise _error(path, f"the shape {shape}", channels_first=len(shape) == 3 and shape[0] <= _MAX_BANDS)
        begin, length = file.tell(), math.prod(shape) * dtype.itemsize
        if Path(path).stat().st_size < begin + length:
            raise ValueError(f"it is shorter than its {length:,} bytes of values")
        order = "F" if is_fortran else "C"
        return cls(numpy.memmap(path, dtype=dtype, mode="r", offset=begin, shape=shape, order=order))  # type: ignore[call-overload]

    def getbands(self) -> tuple[str, ...]:
        """A name for each band."""
        return tuple(map(str, range(self.bands)))

    def part(self, top: int, bottom: int) -> ArrayImage:
        """Some rows."""
        return ArrayImage(self.array[top:bottom])

    def values(self, in_channels: int) -> Tensor | None:
        """The values, (C, H, W), uint8 or float32; of bool 0 and 255. None if there are not so many bands."""
        import numpy
        import torch

        if self.bands != in_channels:
            return None
        array = self.array[..., None] if self.array.ndim == 2 else self.array
        dtype = numpy.uint8 if self.mode == "bands" else numpy.float32
        values = torch.from_numpy(numpy.array(numpy.moveaxis(array, -1, 0), dtype=dtype, order="C"))
        return values * 255 if array.dtype == numpy.bool_ else values


def _error(path: str, found: str, *, channels_first: bool = False) -> ImageError:
    advice = "Try: numpy.save(PATH, array.astype(numpy.float32))"
    if channels_first:
        advice = "Channels come last: numpy.save(PATH, numpy.moveaxis(array, 0, -1))"
    return ImageError(
        f"image '{path}' holds {found}. Expected an array (H, W) or (H, W, C) of bool, integers or float32 with at "
        f"most {_MAX_BANDS} channels, written by numpy.save. {advice}"
    )

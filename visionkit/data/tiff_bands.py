"""TIFF files that Pillow cannot read, by the optional package tifffile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from visionkit.data.image_error import ImageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TiffBands"]


class TiffBands:
    """A TIFF file that Pillow cannot read, opened by tifffile.

    Attributes:
        size: Width and height, as those of Pillow's images.
        mode: ``bands`` for 8 bits, ``I`` for more, ``F`` for floats.
    """

    format = "TIFF"

    def __init__(self, path: str, size: tuple[int, int], bands: int, mode: str) -> None:
        self.path, self.size, self.bands, self.mode = path, size, bands, mode
        self.info: dict[str, Any] = {}

    @classmethod
    def open(cls, path: str) -> TiffBands:
        """Read the header.

        Raises:
            ImageError: If tifffile is not installed.
        """
        try:
            import tifffile
        except ImportError:
            raise ImageError(
                f"image '{path}' cannot be read: Pillow does not know this kind of TIFF file, of more bands or bits "
                "than usual. Try: pip install tifffile"
            ) from None
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            bands = page.samplesperpixel if len(file.pages) == 1 else page.samplesperpixel * len(file.pages)
            mode = "F" if page.dtype.kind == "f" else "bands" if page.dtype.itemsize == 1 else "I"
            return cls(path, (page.imagewidth, page.imagelength), bands, mode)

    def getbands(self) -> tuple[str, ...]:
        """A name for each band."""
        return tuple(map(str, range(self.bands)))

    def values(self, in_channels: int) -> Tensor | None:
        """The values, (C, H, W), uint8 or float32; None if there are not so many bands."""
        import numpy
        import tifffile
        import torch

        if self.bands != in_channels:
            return None
        array = tifffile.imread(self.path)
        array = array[..., None] if array.ndim == 2 else array
        if array.ndim != 3 or in_channels not in (array.shape[0], array.shape[-1]):
            return None
        array = array if array.shape[-1] == in_channels else numpy.moveaxis(array, 0, -1)
        array = array if array.dtype == numpy.uint8 else array.astype(numpy.float32)
        return torch.from_numpy(numpy.ascontiguousarray(numpy.moveaxis(array, -1, 0)))

    def required(self, in_channels: int) -> Tensor:
        """As `values`, of a file that is known to have so many bands."""
        values = self.values(in_channels)
        if values is None:
            raise ValueError(f"its bands are not {in_channels}")
        return values

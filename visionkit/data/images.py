"""Decoding image files, and resizing them as they are decoded: one way for training, evaluation and prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from visionkit.data.image_error import DATASET_ADVICE, ImageAdvice, ImageError
from visionkit.data.image_header import Header, header_of, lift_limit, open_image
from visionkit.data.image_modes import ImageKind, is_deep, kind_of, num_bands
from visionkit.data.memory import check_memory

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

__all__ = ["MAX_PIXELS", "ImageReader", "LoadedImage", "ValueSample", "load_image"]

MAX_PIXELS = 178_956_970
"""The pixels of the largest image that is decoded for a data set without files of its own; that of Pillow."""

_MAX_SAMPLED = 4096

TargetSize = Callable[[int, int], tuple[int, int]]
"""Maps height and width of an upright image to those of the result."""


class LoadedImage(NamedTuple):
    """An image, (C, h, w), and the height and width that it had before it was resized."""

    pixels: Tensor
    size: tuple[int, int]


class ValueSample(NamedTuple):
    """The smallest and the largest value of an image, and evenly spaced ones, float32 (m,), all finite."""

    low: float
    high: float
    values: Tensor


@dataclass(frozen=True)
class ImageReader:
    """How image files become tensors.

    Attributes:
        in_channels: 1 for grey and 3 for RGB, which are converted into each other; another number takes files with so
            many bands, or so many pages of one band.
        value_range: The values of files of more than 8 bits or of floats that become 0 and 255; images are float32
            then, those of 8 bits too. None makes all uint8.
        max_pixels: Larger images are an error before they are decoded; None for any size that fits into memory.
        advice: What errors say.
        on_kind: Called with the kind of an image and its name before it, or a part of it, is decoded; it may raise an
            error.
    """

    in_channels: int
    value_range: tuple[float, float] | None = None
    max_pixels: int | None = None
    advice: ImageAdvice = DATASET_ADVICE
    on_kind: Callable[[ImageKind, str], None] | None = field(default=None, compare=False)

    @property
    def unlimited(self) -> ImageReader:
        """The same without a limit of pixels."""
        return replace(self, max_pixels=None)

    def read(
        self, path: str | Path, *, target: TargetSize | None = None, annotated: tuple[int, int] | None = None
    ) -> LoadedImage:
        """Decode a file, and resize it.

        EXIF orientation is applied, the first frame of an animation is used, and transparent pixels are composited
        over white. JPEG files are decoded at a fraction of their size where the result is small: it differs by less
        than 2/255 on average from a resize of all pixels.

        Args:
            path: The file.
            target: The size of the result; None keeps that of the file.
            annotated: Height and width that the image's annotations were made for. If these are those of the stored
                pixels and not of the turned image, it is read unturned; if they are neither, that is an error.

        Returns:
            uint8 (C, h, w), or float32 if ``value_range`` is given, 0..255, contiguous; and the size in pixels of
            which annotations speak.

        Raises:
            ImageError: If the file is missing, cannot be decoded, is too large, or has other bands or another size.
        """
        with open_image(path) as image:
            return self.convert(image, path, target=target, annotated=annotated)

    def convert(
        self,
        image: Any,
        name: str | Path,
        *,
        target: TargetSize | None = None,
        annotated: tuple[int, int] | None = None,
    ) -> LoadedImage:
        """As `read`, of an opened image.

        Args:
            image: An image of Pillow's, which is decoded, or a `visionkit.data.tiff_bands.TiffBands`.
            name: What messages call it.
            target: The size of the result; None keeps that of the image.
            annotated: As for `read`.
        """
        from visionkit.data import pixels
        from visionkit.data.resizing import resize_image

        self._check_pixels(image.size, name)
        header = header_of(image)
        _check_annotated(header, name, annotated)
        turned = not header.is_annotated_unturned(annotated)
        size = header.size if turned else header.stored
        wanted = None if target is None else target(*size)
        stored_target = wanted if wanted is None or size == header.stored else (wanted[1], wanted[0])
        self._check_memory(image, name, stored_target)
        values = self.values_of(image, name, stored_target)
        if turned:
            values = pixels.turn(values, header.orientation)
        values = values if wanted is None else resize_image(values, wanted)
        return LoadedImage(values.contiguous(), size)

    def measure(self, path: str | Path) -> ValueSample | None:
        """The values of a file of more than 8 bits or of floats; None for 8 bits, or if none is finite.

        Raises:
            ImageError: If the file is missing, cannot be decoded, is too large or has other bands.
        """
        with open_image(path) as image:
            self._check_pixels(image.size, path)
            if not is_deep(image):
                return None
            lift_limit(image)
            values = self._raw_values(image, path, None, kind_of(image))
            values = values[values.isfinite()]
            step = -(-values.numel() // _MAX_SAMPLED) or 1
            return ValueSample(float(values.min()), float(values.max()), values[::step]) if values.numel() else None

    def _check_pixels(self, size: tuple[int, int], path: str | Path) -> None:
        width, height = size
        if self.max_pixels is not None and height * width > self.max_pixels:
            raise ImageError(
                f"image '{path}' has {width:,} x {height:,} pixels, more than "
                f"{self.advice.limit.format(limit=self.max_pixels)}. "
                f"{self.advice.too_large.format(pixels=height * width)}",
                code="image-too-large",
            )

    def _check_memory(self, image: Any, path: str | Path, target: tuple[int, int] | None) -> None:
        width, height = image.size
        if height * width > MAX_PIXELS:
            scale = _decoding_scale(image, target)
            needed = self.bytes_per_pixel(image) * height * width // scale**2
            check_memory(path, (height, width), needed)

    def bytes_per_pixel(self, image: Any) -> int:
        """The memory that decoding takes, by each pixel: Pillow's, and twice that of the tensor."""
        value_bytes = 1 if self.value_range is None and not is_deep(image) else 4
        return 4 + 2 * value_bytes * max(self.in_channels, num_bands(image))

    def values_of(self, image: Any, path: str | Path, target: tuple[int, int] | None = None) -> Tensor:
        """The stored pixels of an opened image, uint8 or float32 (C, H, W), 0..255, not turned.

        Args:
            image: The result of `open_image`.
            path: Its path.
            target: Height and width that are needed; JPEG files may be nearer to it.
        """
        from visionkit.data import pixels

        kind = kind_of(image)
        if self.on_kind is not None:
            self.on_kind(kind, str(path))
        lift_limit(image)
        values = self._raw_values(image, path, target, kind)
        if self.value_range is None:
            return values if values.dtype.itemsize == 1 else pixels.to_eight_bits(values, image.mode)
        return values.float() if values.dtype.itemsize == 1 else pixels.scale_values(values, self.value_range)

    def _raw_values(self, image: Any, path: str | Path, target: tuple[int, int] | None, kind: ImageKind) -> Tensor:
        """The stored pixels, (C, H, W), uint8 or float32; JPEG files nearer to the ``target`` size, or of it."""
        from visionkit.data import pixels
        from visionkit.data.bands import read_bands

        bands, is_alpha = kind.bands, kind.has_alpha
        is_converted = self.in_channels in (1, 3) and (bands in (1, 3) or is_alpha or kind.mode == "CMYK")
        if is_converted and not kind.is_deep and kind.mode != "bands":
            return pixels.to_tensor(_scaled(image, "L" if self.in_channels == 1 else "RGB", target))
        values = read_bands(image, path, in_channels=bands if is_converted else self.in_channels, advice=self.advice)
        if is_converted:
            values = values[:-1] if is_alpha and len(values) in (2, 4) else values
            values = pixels.match_channels(values, self.in_channels)
        return values


def load_image(
    path: str | Path,
    in_channels: int = 3,
    *,
    value_range: tuple[float, float] | None = None,
    max_pixels: int | None = MAX_PIXELS,
) -> Tensor:
    """Decode one image file at its full size; see `ImageReader`.

    Returns:
        uint8 (C, H, W), or float32 if ``value_range`` is given, 0..255, contiguous.

    Raises:
        ImageError: If the file is missing or cannot be decoded; the message names it.
    """
    return ImageReader(in_channels, value_range, max_pixels).read(path).pixels


def _check_annotated(header: Header, path: str | Path, annotated: tuple[int, int] | None) -> None:
    if annotated is not None and annotated not in (header.size, header.stored):
        height, width = header.size
        raise ImageError(
            f"image '{path}' is {width}x{height}, but its annotation was made for {annotated[1]}x{annotated[0]} "
            "(width x height). Expected the image that was annotated. Replace or remove it.",
            code="size-differs",
        )


def _scaled(image: Image.Image, mode: str, target: tuple[int, int] | None) -> Image.Image:
    """The image in a mode of 8 bits; of JPEG files as few pixels as a stored ``target`` needs."""
    from PIL import Image as module

    from visionkit.data.pixels import to_mode

    scale = _decoding_scale(image, target)
    if target is None or scale == 1:
        return to_mode(image, mode)
    width, height = image.size
    image.draft(None, (width // scale, height // scale))
    converted = to_mode(image, mode)
    box = (0.0, 0.0, width / scale, height / scale)
    if box[2:] == converted.size:
        return converted
    # the last row and column are of fewer than `scale` pixels of the file
    return converted.resize((target[1], target[0]), module.Resampling.BILINEAR, box=box)


def _decoding_scale(image: Any, target: tuple[int, int] | None) -> int:
    """The divisor at which a file is decoded: 1 but for JPEG files of which little is needed."""
    from visionkit.data.resizing import decoding_scale

    if target is None or image.format not in ("JPEG", "MPO"):
        return 1
    width, height = image.size
    return decoding_scale((height, width), target)

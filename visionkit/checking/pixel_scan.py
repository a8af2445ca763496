"""A look at the pixels of an image: brightness, sharpness, information, and hashes; without torch, in any process."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from visionkit.checking.jpeg_markers import find_end
from visionkit.checking.pixel_record import PIXELS, THUMBNAIL
from visionkit.data.image_header import as_stored, lift_limit, open_image

__all__ = ["perceptual_hash", "scan_pixels"]

_SIDE = 192
"""Pictures are looked at with a shorter side of at least so many pixels, if they have them."""
_HASH_SIDE, _HASH_BITS = 32, 8
_LEVELS = 64
_GREY = 128
"""What decoders fill in where the numbers of a JPEG file have ended."""


def scan_pixels(paths: Sequence[bytes], *, max_pixels: int) -> NDArray[Any]:
    """A record of each image, `PIXELS` (N,).

    Args:
        paths: The files.
        max_pixels: Images of more are not decoded.
    """
    records = numpy.zeros(len(paths), PIXELS)
    for row, path in enumerate(paths):
        try:
            _scan(path, records[row], max_pixels)
        except Exception:  # whatever a decoder raises of crafted bytes
            records[row] = 0
    return records


def _scan(path: bytes, record: Any, max_pixels: int) -> None:
    from PIL import Image

    with open_image(os.fsdecode(path)) as image:
        if image.size[0] * image.size[1] > max_pixels:
            return
        if isinstance(image, Image.Image):
            is_jpeg = image.format in ("JPEG", "MPO")
            lift_limit(image)
            image.draft(None, (_SIDE, _SIDE))  # of JPEG files alone: fewer pixels of the same numbers
            image.load()
            picture = _colours(_reduced(image))
        else:
            is_jpeg = False
            picture = _array_colours(image)
    _measure(picture, record)
    record["is_read"] = True
    if is_jpeg:
        record["is_broken"] = _is_broken(path, picture)


def _reduced(image: Any) -> Any:
    factor = min(image.size) // _SIDE
    return image.reduce(factor) if factor > 1 and image.mode not in ("P", "1", "PA") else as_stored(image)


def _colours(image: Any) -> NDArray[Any]:
    """The picture as it is looked at, uint8 (H, W, 3); deep values from their darkest to their brightest."""
    if image.mode.startswith(("I", "F")):
        return _stretched(numpy.asarray(image))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
    return numpy.asarray(image.convert("RGB"))


def _array_colours(image: Any) -> NDArray[Any]:
    values = numpy.asarray(getattr(image, "array", image))
    values = values if values.ndim == 2 else values[..., 0]
    step = max(1, min(values.shape) // _SIDE)
    return _stretched(values[::step, ::step])


def _stretched(values: NDArray[Any]) -> NDArray[Any]:
    numbers = numpy.nan_to_num(values.astype(numpy.float64), posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    grey = (numbers - low) * (255.0 / (high - low) if high > low else 0.0)
    return numpy.repeat(grey.round().astype(numpy.uint8)[..., None], 3, axis=2)


def _measure(picture: NDArray[Any], record: Any) -> None:
    from PIL import Image

    grey_image = Image.fromarray(picture).convert("L")
    grey = numpy.asarray(grey_image)
    counts = numpy.bincount(grey.ravel() // (256 // _LEVELS), minlength=_LEVELS)
    shares = counts[counts > 0] / grey.size
    values = grey.astype(numpy.float32)
    variance = float(values.var())
    record["mean"], record["deviation"] = values.mean(), variance**0.5
    record["range"] = float(grey.max()) - float(grey.min())
    record["entropy"] = -(shares * numpy.log2(shares)).sum()
    record["sharpness"] = _laplacian(values) / max(variance, 1.0)
    colours = picture[::4, ::4].astype(numpy.int16)
    record["colour"] = numpy.abs(colours - colours[..., [1, 2, 0]]).mean(axis=(0, 1)).max()
    middle = grey_image.resize((4 * _HASH_SIDE, 4 * _HASH_SIDE), Image.Resampling.BOX)
    small = numpy.asarray(middle.resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.LANCZOS))
    record["hash"], record["mirrored"] = perceptual_hash(small), perceptual_hash(small[:, ::-1])
    record["thumbnail"] = numpy.asarray(middle.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))


def _laplacian(values: NDArray[Any]) -> float:
    """The variance of the picture's Laplacian; 0 of a picture without an inner pixel."""
    if min(values.shape) < 3:
        return 0.0
    inner = values[1:-1, 1:-1]
    response = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:] - 4 * inner
    return float(response.var())


def perceptual_hash(grey: NDArray[Any]) -> int:
    """64 bits of a grey picture of 32x32: which of its 8x8 lowest frequencies lie above their median.

    As imagehash's ``phash``: Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions".
    """
    basis = _cosines()
    frequencies = basis @ grey.astype(numpy.float64) @ basis.T
    bits = numpy.packbits((frequencies > numpy.median(frequencies)).ravel())
    return int.from_bytes(bits.tobytes(), "big")


@functools.cache
def _cosines() -> NDArray[Any]:
    """The first rows of the discrete cosine transform, type II, (8, 32)."""
    n = numpy.arange(_HASH_SIDE)
    waves: NDArray[Any] = 2 * numpy.cos(numpy.pi * numpy.outer(numpy.arange(_HASH_BITS), 2 * n + 1) / (2 * _HASH_SIDE))
    return waves


def _is_broken(path: bytes, picture: NDArray[Any]) -> bool:
    """Whether a marker of a JPEG file stands where none may be, or its last rows are those that decoders fill in."""
    with open(path, "rb") as file:
        end = find_end(file.read())
    if not end.is_sound:
        return True
    rows = max(1, len(picture) // 16)
    last = picture[-rows:]
    if int(last.max()) - int(last.min()) > 2 or abs(int(last[0, 0, 0]) - _GREY) > 3:
        return False
    return float(picture[:-rows].std()) > 8.0

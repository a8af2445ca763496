"""What the header of an opened image says of its bands and their depth; without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ImageKind", "has_alpha", "is_deep", "kind_of", "num_bands", "sixteen_bit_colour"]

_SAMPLES_PER_PIXEL, _EXTRA_SAMPLES, _BITS_PER_SAMPLE = 277, 338, 258  # TIFF tags
_ALPHA = {1, 2, 999}  # of the tag of extra samples; 999 is Corel's


class ImageKind(NamedTuple):
    """What an image is before it is converted.

    Attributes:
        mode: As those of Pillow.
        bands: Its channels with alpha; 3 for a palette.
        has_alpha: Whether the last band is transparency, or colours of a palette are transparent.
        is_deep: Whether its values have more than 8 bits, or are floats.
    """

    mode: str
    bands: int
    has_alpha: bool
    is_deep: bool


def kind_of(image: Any) -> ImageKind:
    """The kind of an opened image."""
    return ImageKind(image.mode, num_bands(image), has_alpha(image), is_deep(image))


def num_bands(image: Image.Image) -> int:
    """The bands of a file: its channels with alpha; 3 for a palette."""
    if image.mode in ("P", "PA"):
        return 3
    return int(_tags(image).get(_SAMPLES_PER_PIXEL, len(image.getbands())))


def has_alpha(image: Image.Image) -> bool:
    """Whether the last band is transparency: for TIFF files, only if they say so."""
    tags = _tags(image)
    if _SAMPLES_PER_PIXEL in tags and image.mode not in ("P", "PA"):
        return bool(_ALPHA & set(tags.get(_EXTRA_SAMPLES, ())))
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def is_deep(image: Image.Image) -> bool:
    """Whether the values of a file have more than 8 bits, or are floats."""
    return image.mode.startswith(("I", "F")) or sixteen_bit_colour(image)


def sixteen_bit_colour(image: Image.Image) -> bool:
    """Whether a colour file has 16 bits for each channel, of which Pillow keeps 8."""
    if image.mode.startswith(("I", "F")):
        return False
    if image.format == "PNG":
        return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    return any(bits > 8 for bits in _tags(image).get(_BITS_PER_SAMPLE, ()))


def _tags(image: Any) -> Any:
    """The tags of a TIFF file, each a value or a tuple; empty for other files."""
    return getattr(image, "tag_v2", None) or {}

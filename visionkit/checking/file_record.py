"""What is noted of an image file: one row of numbers, small enough for a million of them."""

from __future__ import annotations

from enum import IntFlag

import numpy

__all__ = ["FORMATS", "MODES", "RECORD", "Fault"]

FORMATS = (
    "",
    "JPEG",
    "MPO",
    "PNG",
    "TIFF",
    "BMP",
    "GIF",
    "WEBP",
    "PPM",
    "DIB",
    "JPEG2000",
    "AVIF",
    "HEIF",
    "ICO",
    "NPY",
)
"""Names of formats, by their number in a record."""

MODES = ("", "1", "L", "P", "PA", "LA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F", "bands")
"""Names of Pillow's modes, by their number; others are 0."""


class Fault(IntFlag):
    """What is wrong with a file, as bits of one number."""

    MISSING = 1
    DENIED = 2
    EMPTY = 4
    NO_IMAGE = 8
    NO_CODEC = 16
    TRUNCATED = 32
    TRAILING = 64
    BROKEN_HEADER = 128
    BROKEN_PIXELS = 256
    NO_FILE = 512
    DEEP = 1024
    """No fault: values of more than 8 bits, or floats."""
    ALPHA = 2048
    """No fault: transparency."""


RECORD = numpy.dtype(
    [
        ("bytes", "<i8"), ("time", "<i8"), ("taken", "<i8"), ("height", "<i4"), ("width", "<i4"), ("frames", "<i4"),
        ("faults", "<u4"), ("format", "u1"), ("mode", "u1"), ("orientation", "u1"), ("bands", "u1"),
    ]
)  # fmt: skip
"""Size of the file in bytes; time of its last change in nanoseconds; when the photo was taken by EXIF, in seconds, 0 if
it does not say; stored height and width in pixels, 0 if unknown; number of pictures; `Fault` bits; positions in
`FORMATS` and `MODES`; the EXIF orientation; the number of bands."""

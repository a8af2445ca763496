"""What is noted of the pixels of an image: numbers, hashes and a thumbnail."""

from __future__ import annotations

import numpy

__all__ = ["PIXELS", "THUMBNAIL"]

THUMBNAIL = 32
"""Height and width of the grey thumbnail."""

PIXELS = numpy.dtype(
    [
        ("is_read", "?"), ("is_broken", "?"), ("mean", "<f4"), ("deviation", "<f4"), ("range", "<f4"),
        ("entropy", "<f4"), ("sharpness", "<f4"), ("colour", "<f4"), ("hash", "<u8"), ("mirrored", "<u8"),
        ("thumbnail", "u1", (THUMBNAIL, THUMBNAIL)),
    ]
)  # fmt: skip
"""Whether the pixels could be decoded; whether a part of them seems to be missing. Of the grey picture, 0 to 255: mean
and standard deviation; largest minus smallest value; entropy in bits of its values; variance of the Laplacian over the
variance, in which blurred pictures have less. Largest mean difference of two channels. Perceptual hashes of the picture
and of its mirror image. A thumbnail."""

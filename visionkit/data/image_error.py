"""The error of an image file that cannot be used, and what to type then."""

from __future__ import annotations

from dataclasses import dataclass

from visionkit.errors import UserError

__all__ = ["DATASET_ADVICE", "ImageAdvice", "ImageError"]


@dataclass(frozen=True)
class ImageAdvice:
    """How the errors of image files name what an image was compared to, and what they advise.

    Attributes:
        limit: The limit of pixels; ``{limit}`` is its value.
        too_large: What to do about an image of more; ``{pixels}`` is their number.
        channels: The expected number of bands; ``{channels}`` is its value.
        other_bands: What to do about an image of others; ``{bands}`` is their number.
    """

    limit: str
    too_large: str
    channels: str
    other_bands: str


DATASET_ADVICE = ImageAdvice(
    limit="dataset.max_pixels={limit}",
    too_large="Make it smaller, or allow it: dataset.max_pixels={pixels}",
    channels="dataset.in_channels={channels}. Expected {channels}",
    other_bands="Try: dataset.in_channels={bands}. Or replace or remove it.",
)
"""That of a data set of files."""


class ImageError(UserError):
    """An image file that cannot be used.

    Attributes:
        code: The code of its finding.
    """

    def __init__(self, message: str, *, code: str = "image-unreadable") -> None:
        super().__init__(message)
        self.code = code

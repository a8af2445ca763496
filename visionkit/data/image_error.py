"""The error of an image file that cannot be used."""

from __future__ import annotations

from visionkit.errors import UserError

__all__ = ["ImageError"]


class ImageError(UserError):
    """An image file that cannot be used.

    Attributes:
        code: The code of its finding.
    """

    def __init__(self, message: str, *, code: str = "image-unreadable") -> None:
        super().__init__(message)
        self.code = code

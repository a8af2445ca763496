"""What the byte of a mask's pixel may say; known without torch."""

__all__ = ["IGNORE_INDEX", "MAX_CLASSES"]

IGNORE_INDEX = 255
"""The id of pixels that count neither in a loss nor in a score: void, padding, and what lies outside the image."""

MAX_CLASSES = IGNORE_INDEX
"""The ids below are classes."""

"""What the byte of a mask's pixel may say; known without torch."""

__all__ = ["IGNORED", "MAX_CLASSES"]

IGNORED = 255
"""The id of pixels that count neither in a loss nor in a score: void, padding, and what lies outside the image."""

MAX_CLASSES = IGNORED
"""The ids below are classes."""

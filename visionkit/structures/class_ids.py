"""The values of a class mask's bytes; importable without torch."""

__all__ = ["IGNORE_INDEX", "MAX_CLASSES"]

IGNORE_INDEX = 255
"""The id of pixels that losses and metrics ignore: void, padding, and pixels outside the image."""

MAX_CLASSES = IGNORE_INDEX
"""How many classes a mask can hold: the ids below `IGNORE_INDEX`."""

"""The values of a class mask's bytes; importable without torch."""

__all__ = ["BACKGROUND", "IGNORE_INDEX", "MAX_CLASSES"]

BACKGROUND = "background"
"""The name of the class of pixels that belong to no object."""

IGNORE_INDEX = 255
"""The id of pixels that losses and metrics ignore: void, padding, and pixels outside the image."""

MAX_CLASSES = IGNORE_INDEX
"""How many classes a mask can hold: the ids below `IGNORE_INDEX`."""

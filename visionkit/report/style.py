"""Colours and text helpers shared by all plots."""

from visionkit.text import printable

__all__ = ["GRID_COLOUR", "TEXT_COLOUR", "TRAIN", "VALIDATION", "ERROR_COLOUR", "shorten", "metric_title"]

TRAIN, VALIDATION, TEXT_COLOUR, GRID_COLOUR, ERROR_COLOUR = "#8a94a6", "#1f5fbf", "#22262e", "#d9dde4", "#c8321f"


def metric_title(name: str) -> str:
    """A metric's name for a plot's title."""
    return name.replace("_", " ")


def shorten(name: str, limit: int = 18) -> str:
    """Cut a name in the middle to a length: names of one data set often begin alike."""
    name = printable(name)
    return name if len(name) <= limit else f"{name[: limit // 2]}…{name[-(limit // 2 - 1) :]}"

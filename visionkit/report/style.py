"""Colours and text helpers shared by all pictures."""

from collections.abc import Iterable, Sequence

from visionkit.report.fonts import drawable
from visionkit.report.palette import class_colour
from visionkit.text import printable

__all__ = [
    "ERROR_COLOUR", "GRID_COLOUR", "TEXT_COLOUR", "TRAIN", "VALIDATION", "OTHERS", "LegendEntry", "class_legend",
    "count_title", "shorten",
]  # fmt: skip

TRAIN, VALIDATION, TEXT_COLOUR, GRID_COLOUR, ERROR_COLOUR = "#8a94a6", "#1f5fbf", "#22262e", "#d9dde4", "#c8321f"
OTHERS = "#c3c8d1"
"""Of lines without a name of their own."""

LegendEntry = tuple[str, str]
"""A name and its colour."""


def shorten(name: str, limit: int = 18) -> str:
    """Cut a name in the middle to a length: names of one data set often begin alike."""
    name = drawable(printable(name))
    return name if len(name) <= limit else f"{name[: limit // 2]}…{name[-(limit // 2 - 1) :]}"


def class_legend(class_ids: Iterable[int], class_names: Sequence[str]) -> list[LegendEntry]:
    """Name and colour of the classes that occur, each once, by their ids."""
    return [(class_names[class_id], class_colour(class_id)) for class_id in sorted(set(class_ids))]


def count_title(shown: int, total: int, things: str) -> str:
    """How many of several things a picture shows: ``1 box``, ``12 boxes``, or ``30 of 41 boxes``."""
    if total == 1:
        things = things.removesuffix("es") if things.endswith("xes") else things.removesuffix("s")
    return f"{total:,} {things}" if shown == total else f"{shown:,} of {total:,} {things}"

"""Images with their classes in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from visionkit.report.image_grid import draw_caption
from visionkit.report.style import shorten

__all__ = ["draw_classes", "draw_label_set"]

_MAX_SHOWN, _MIN_SHOWN = 3, 0.01
_NAME_LENGTH = 24


def draw_classes(image: Any, class_names: Sequence[str], probabilities: Sequence[float]) -> Image.Image:
    """An image with its likeliest classes below it: the first, and up to two more of at least 1 %.

    Args:
        image: (C, H, W) uint8 or float32 in 0..255, a tensor or an array.
        class_names: The classes.
        probabilities: One for each.
    """
    order = sorted(range(len(class_names)), key=lambda k: -probabilities[k])[:_MAX_SHOWN]
    shown = [order[0], *(k for k in order[1:] if probabilities[k] >= _MIN_SHOWN)]
    return draw_caption(image, _words(class_names, probabilities, shown))


def draw_label_set(
    image: Any, class_names: Sequence[str], probabilities: Sequence[float], labels: Sequence[int]
) -> Image.Image:
    """An image with the classes that it has below it; without any, the likeliest.

    Args:
        image: As for `draw_classes`.
        class_names: The classes.
        probabilities: One for each.
        labels: The ids of the image's classes, the likeliest first.
    """
    if labels:
        return draw_caption(image, _words(class_names, probabilities, labels))
    likeliest = max(range(len(class_names)), key=lambda k: probabilities[k])
    return draw_caption(image, f"none; most likely {_words(class_names, probabilities, [likeliest])}")


def _words(class_names: Sequence[str], probabilities: Sequence[float], class_ids: Sequence[int]) -> str:
    return ", ".join(f"{shorten(class_names[k], _NAME_LENGTH)} {probabilities[k]:.0%}" for k in class_ids)

"""How much of an object must be left for it to count."""

from torch import Tensor

__all__ = ["MIN_VISIBLE", "box_areas"]

MIN_VISIBLE = 0.2
"""The fraction of a box's or mask's area that must remain after a crop, or under what is pasted over it."""


def box_areas(boxes: Tensor) -> Tensor:
    """The areas of boxes xyxy (n, 4), (n,)."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return (sides[:, 0] * sides[:, 1]).as_subclass(Tensor)

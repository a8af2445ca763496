"""The one form of a size in a configuration: a number for both axes, or ``[height, width]``."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from visionkit.schema import describe

__all__ = ["IMAGE_SIZE", "ImageSize", "Size"]


@dataclasses.dataclass(frozen=True)
class Size:
    """Marks a field that takes one whole number for both axes, or ``[height, width]``.

    Attributes:
        maximum: The largest number on an axis.
        example: What to type where the value suggests nothing.
        unit: Of what they are numbers, such as ``"pixels"``.
        alternatives: Other values than sizes that the field takes, for messages.
    """

    maximum: int
    example: int
    unit: str = "pixels"
    alternatives: str = ""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def parse(self, value: Any) -> int | tuple[int, int]:
        """Check one value.

        Raises:
            ValueError: If it is neither; the message says what to type.
        """
        sides = value if isinstance(value, (list, tuple)) else [value]
        if all(type(side) is int and 1 <= side <= self.maximum for side in sides):
            if len(sides) == 2:
                return sides[0], sides[1]
            if sides is not value:
                return int(value)
        text = describe(round(value) if isinstance(value, float) and math.isfinite(value) else value)
        numbers = [int(digits) for digits in re.findall(r"\d{1,9}", text) if 1 <= int(digits) <= self.maximum]
        one, two = (numbers or [self.example])[0], (numbers * 2 or [self.example] * 2)[:2]
        raise ValueError(
            f"expected a number of {self.unit} up to {self.maximum:,} or [height, width]{self.alternatives}, "
            f"found {describe(value)}. Try {one} or [{two[0]},{two[1]}]."
        )


IMAGE_SIZE = Size(65_536, example=224)
ImageSize = Annotated[int | tuple[int, int], IMAGE_SIZE]
"""The size of images: the side of a square, or ``[height, width]``, in pixels."""

"""How scenes of digits are composed: the key ``scenes`` of ``conf/dataset/digits.yaml``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import Field

from visionkit.data.augment.table import check_augment
from visionkit.errors import UserError
from visionkit.schema import STRICT

__all__ = ["SCENE_SIZES", "Scenes"]

SCENE_SIZES = {"boxes": 128, "instances": 128, "mask": 96}
"""The targets for which there are scenes, and their side in pixels; a class for each pixel costs the most time."""

Share = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """How scenes are composed.

    Attributes:
        train: How many there are for training.
        val: For validation.
        test: For the test.
        digit_size: Height of the smallest and the largest digit, as shares of the scene's shorter side.
        count: The fewest and the most digits in one scene; where no place is left, there are fewer.
        overlap: The share of the smaller of two boxes that the other may cover at most.
        clutter: The most scraps of ink, smaller than any digit, in one scene.
        seed: Of the composition; scene 7 is the same one whatever the number of scenes.
        augment: Random changes of training scenes.
        mean: Of the training scenes, on the scale where white is 1.
        std: As ``mean``.
    """

    train: Annotated[int, Field(gt=0)] = 1000
    val: Annotated[int, Field(gt=0)] = 200
    test: Annotated[int, Field(gt=0)] = 200
    digit_size: tuple[Share, Share] = (0.16, 0.36)
    count: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0, le=250)]] = (1, 6)
    overlap: Annotated[float, Field(ge=0, le=1)] = 0.1
    clutter: Annotated[int, Field(ge=0)] = 4
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    augment: dict[str, dict[str, Any] | None] | None = field(default_factory=dict)
    mean: tuple[float, ...] | None = None
    std: tuple[Annotated[float, Field(gt=0)], ...] | None = None

    __pydantic_config__: ClassVar[Any] = STRICT

    def __post_init__(self) -> None:
        check_augment(self.augment or {}, where="dataset.scenes.augment", targets=tuple(SCENE_SIZES))
        for key, (low, high) in (("digit_size", self.digit_size), ("count", self.count)):
            if low > high:
                raise UserError(
                    f"dataset.scenes.{key}: expected the smaller number first, found [{low}, {high}]. "
                    f"Try: dataset.scenes.{key}=[{high},{low}]"
                )

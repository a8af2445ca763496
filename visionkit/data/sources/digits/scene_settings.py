"""The settings of composed scenes of digits: the key ``scenes`` of ``conf/dataset/digits.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from visionkit.data.augment.parsing import Augments, check_targets
from visionkit.errors import UserError
from visionkit.schema import STRICT

__all__ = ["SCENE_SIZES", "Scenes"]

SCENE_SIZES = {"boxes": 128, "instances": 128, "mask": 96}
"""The targets of scenes, and their default side in pixels; smaller for masks, which take the most computation."""

Share = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """How scenes are composed.

    Attributes:
        train: The number of scenes for training.
        val: The number for validation.
        test: The number for test.
        digit_size: The minimum and maximum height of a digit, as fractions of the scene's shorter side.
        count: The minimum and maximum number of digits in a scene; there are fewer if no free position is found.
        overlap: The maximum intersection of two boxes, as a fraction of the smaller box.
        clutter: The maximum number of distractors in a scene: pieces of digits, smaller than any digit.
        seed: The seed of the composition; a scene depends on its index, not on the number of scenes.
        augment: Augmentations of training scenes.
        mean: The mean of the training scenes, for pixels scaled to 0..1.
        std: The standard deviation, likewise.
    """

    train: Annotated[int, Field(gt=0, le=10_000_000)]
    val: Annotated[int, Field(gt=0, le=10_000_000)]
    test: Annotated[int, Field(gt=0, le=10_000_000)]
    digit_size: tuple[Share, Share]
    count: tuple[Annotated[int, Field(gt=0, le=250)], Annotated[int, Field(gt=0, le=250)]]
    overlap: Annotated[float, Field(ge=0, le=1)]
    clutter: Annotated[int, Field(ge=0, le=1000)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    augment: Augments
    mean: tuple[Annotated[float, Field(ge=-1_000_000, le=1_000_000)], ...] | None
    std: tuple[Annotated[float, Field(gt=0, le=1_000_000)], ...] | None

    __pydantic_config__: ClassVar[Any] = STRICT

    def __post_init__(self) -> None:
        check_targets(self.augment, where="dataset.scenes.augment", targets=tuple(SCENE_SIZES))
        for key, (low, high) in (("digit_size", self.digit_size), ("count", self.count)):
            if low > high:
                raise UserError(
                    f"dataset.scenes.{key}: expected the smaller number first, found [{low}, {high}]. "
                    f"Try: dataset.scenes.{key}=[{high},{low}]"
                )

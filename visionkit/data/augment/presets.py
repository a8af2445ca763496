"""Augmentations by one word, ``dataset.augment=light|medium|strong|auto``: the files in ``conf/augment``; no torch."""

from __future__ import annotations

from dataclasses import dataclass

from visionkit.config_files import group_names
from visionkit.errors import UserError, did_you_mean
from visionkit.schema import describe

__all__ = ["AUTO", "AugmentPreset", "preset_names"]

AUTO = "auto"


@dataclass(frozen=True)
class AugmentPreset:
    """A word in the place of augmentations, whose meaning depends on the task and the data.

    Attributes:
        name: One of `preset_names`.

    Raises:
        UserError: If it is none of them.
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in preset_names():
            raise UserError(
                f": found {describe(self.name)}.{did_you_mean(self.name, preset_names())} Expected a mapping of "
                f"augmentations to arguments, or one of the words {', '.join(preset_names())}."
            )


def preset_names() -> list[str]:
    """The words, from the weakest to the strongest, and ``auto``."""
    return sorted(group_names("augment"), key=("light", "medium", "strong", AUTO).index)

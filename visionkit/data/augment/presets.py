"""Augmentations by one word: ``dataset.augment=light|medium|strong|auto``, of the files in ``conf/augment``; no torch.

``auto`` takes a stronger one the more training images there are, because the strength that is best for a classifier
grows with the size of its training set (Cubuk et al. 2020, RandAugment, arXiv:1909.13719, section 4.1 and figure 1c).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from visionkit.config_files import group_names, read_group_file
from visionkit.data.augment.base import AugmentSpec
from visionkit.errors import UserError, did_you_mean
from visionkit.schema import describe

__all__ = ["AugmentPreset", "ChosenAugments", "preset_names"]

AUTO = "auto"


@dataclass(frozen=True)
class ChosenAugments:
    """The augmentations of a run.

    Attributes:
        note: A message for the user on what a word stands for; empty without one.
        augments: The augmentations.
    """

    note: str
    augments: tuple[AugmentSpec, ...]


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

    def choose(self, target: str, *, num_images: int, in_channels: int, has_directions: bool) -> ChosenAugments:
        """What the word stands for.

        Args:
            target: The kind of target of the task.
            num_images: The number of training images.
            in_channels: Of other numbers than 1 and 3, no colours are changed.
            has_directions: Whether a mirrored or turned image may be of another class, so that none is made.
        """
        from visionkit.data.augment.parsing import parse_augments

        level = self.name if self.name != AUTO else _level_of(target, num_images)
        values = read_group_file("augment", level)[target]
        specs = dict(zip(values, parse_augments(values, where="dataset.augment"), strict=True))
        kept = {
            name: spec
            for name, spec in specs.items()
            if not (spec.mirrors and has_directions) and not (spec.changes_colours and in_channels not in (1, 3))
        }
        written = ", ".join(f"{name}: {_written(values[name])}" for name in kept)
        is_level = f" is {level} for {num_images:,} training images, which" if level != self.name else ""
        note = f"dataset.augment={self.name}{is_level} stands for {{{written}}}"
        return ChosenAugments(note, tuple(kept.values()))


def preset_names() -> list[str]:
    """The words, from the weakest to the strongest, and ``auto``."""
    return sorted(group_names("augment"), key=("light", "medium", "strong", AUTO).index)


def _level_of(target: str, num_images: int) -> str:
    """The strongest preset for so many training images."""
    least: Mapping[str, int] = read_group_file("augment", AUTO)[target]
    return max((level for level in least if least[level] <= num_images), key=lambda level: least[level])


def _written(value: Any) -> str:
    """A value as it is typed on the command line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_written(inner)}' for key, inner in value.items())}}}"
    return describe(value)

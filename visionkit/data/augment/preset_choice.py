"""What a word in the place of augmentations stands for, by the task and the data; needs no torch.

``auto`` takes a stronger one the more training images there are, because the strength that is best for a classifier
grows with the size of its training set (Cubuk et al. 2020, RandAugment, arXiv:1909.13719, section 4.1 and figure 1c).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from visionkit.config_files import read_group_file
from visionkit.data.augment.base import AugmentSpec
from visionkit.data.augment.parsing import parse_augments
from visionkit.data.augment.presets import AUTO, AugmentPreset
from visionkit.schema import describe

__all__ = ["ChosenAugments", "choose_augments"]


@dataclass(frozen=True)
class ChosenAugments:
    """The augmentations of a run.

    Attributes:
        note: A message for the user on what a word stands for; empty without one.
        augments: The augmentations.
    """

    note: str
    augments: tuple[AugmentSpec, ...]


def choose_augments(
    preset: AugmentPreset, target: str, *, num_images: int, in_channels: int, has_directions: bool
) -> ChosenAugments:
    """What the word stands for.

    Args:
        preset: The word.
        target: The kind of target of the task.
        num_images: The number of training images.
        in_channels: Of other numbers than 1 and 3, no colours are changed.
        has_directions: Whether a mirrored or turned image may be of another class, so that none is made.
    """
    level = preset.name if preset.name != AUTO else _level_of(target, num_images)
    values = read_group_file("augment", level)[target]
    specs = dict(zip(values, parse_augments(values, where="dataset.augment"), strict=True))
    kept = {
        name: spec
        for name, spec in specs.items()
        if not (spec.mirrors and has_directions) and not (spec.changes_colours and in_channels not in (1, 3))
    }
    written = ", ".join(f"{name}: {_written(values[name])}" for name in kept)
    is_level = f" is {level} for {num_images:,} training images, which" if level != preset.name else ""
    note = f"dataset.augment={preset.name}{is_level} stands for {{{written}}}"
    return ChosenAugments(note, tuple(kept.values()))


def _level_of(target: str, num_images: int) -> str:
    """The strongest preset for so many training images."""
    least: Mapping[str, int] = read_group_file("augment", AUTO)[target]
    return max((level for level in least if least[level] <= num_images), key=lambda level: least[level])


def _written(value: Any) -> str:
    """A value as it is typed on the command line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_written(inner)}' for key, inner in value.items())}}}"
    return describe(value)

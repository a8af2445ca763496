"""Keys of a configuration that runs of earlier versions do not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visionkit.config_files import read_group_file

__all__ = ["with_later_keys"]

_LATER_KEYS: Mapping[str, tuple[str, ...]] = {
    "recipe": (
        "ema", "checkpoint_every", "mix", "on_nan", "teacher",
        "layer_decay", "backbone_lr", "freeze", "unfreeze_at", "max_time",
    ),
    "hardware": ("gradient_checkpointing",),
}  # fmt: skip
"""By section. Their values in the base file leave such a run what it is."""
_BASE_FILES = {"recipe": "_base", "hardware": "cpu"}


def with_later_keys(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a run, or sections of it, with the keys that have been added since it was made.

    A key that was there from the beginning is not added: without it a configuration is damaged.
    """
    completed = dict(plain)
    for section, keys in _LATER_KEYS.items():
        values = plain.get(section)
        if isinstance(values, Mapping) and any(key not in values for key in keys):
            base = read_group_file(section, _BASE_FILES[section])
            completed[section] = {**{key: base[key] for key in keys}, **values}
    dataset = completed.get("dataset")
    if isinstance(dataset, Mapping) and "max_pixels" in dataset and "exclude" not in dataset:  # of files
        completed["dataset"] = {**dataset, "exclude": None}
    recipe = completed.get("recipe")
    schedule = recipe.get("schedule") if isinstance(recipe, Mapping) else None
    if isinstance(schedule, Mapping) and "rise" in schedule and "power" not in schedule:  # one of the shipped ones
        power = read_group_file("recipe", "_base")["schedule"]["power"]
        completed["recipe"] = {**completed["recipe"], "schedule": {**schedule, "power": power}}
    return completed

"""Keys that were added to the configuration after runs had been trained without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["with_later_keys"]

_LATER_KEYS: Mapping[str, Mapping[str, Any]] = {
    "recipe": {"layer_decay": None, "backbone_lr": None, "freeze": None, "unfreeze_at": None, "max_time": None},
    "hardware": {"gradient_checkpointing": False},
}
"""By section, the keys and the values with which they change nothing."""


def with_later_keys(plain: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the keys that it was written without, at the values with which it was trained.

    Args:
        plain: The configuration of a run, or sections of it.
    """
    filled = dict(plain)
    for section, keys in _LATER_KEYS.items():
        if isinstance(filled.get(section), Mapping):
            filled[section] = {**filled[section], **{k: v for k, v in keys.items() if k not in filled[section]}}
    recipe = filled.get("recipe")
    schedule = recipe.get("schedule") if isinstance(recipe, Mapping) else None
    if isinstance(schedule, Mapping) and "rise" in schedule and "power" not in schedule:  # one of the shipped ones
        filled["recipe"] = {**filled["recipe"], "schedule": {**schedule, "power": 0.9}}
    return filled

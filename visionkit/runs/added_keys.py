"""Keys of a configuration that older runs of the same format lack, and what they stand for there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["ADDED_KEYS", "with_added_keys"]

ADDED_KEYS: Mapping[str, Any] = {"recipe.mix": None}
"""Dotted keys that came later, and the value with which a run does what it did before they were there."""


def with_added_keys(plain: Mapping[str, Any]) -> dict[str, Any]:
    """A run's configuration with the keys that it lacks because it is older; sections that it lacks stay away."""
    values = dict(plain)
    for key, value in ADDED_KEYS.items():
        section, _, name = key.partition(".")
        if isinstance(values.get(section), Mapping) and name not in values[section]:
            values[section] = {**values[section], name: value}
    return values

"""Keys that configurations of earlier runs lack: such a run was made with their defaults, which change nothing."""

from collections.abc import Mapping
from typing import Any

from visionkit.config_files import read_group_file

__all__ = ["with_added_keys"]

_ADDED = ("on_nan", "teacher")
"""Keys of the recipe since format 4."""


def with_added_keys(plain: Mapping[str, Any]) -> dict[str, Any]:
    """A stored configuration with the keys that were added after it was written; one that has them is not changed."""
    recipe = plain.get("recipe")
    missing = [key for key in _ADDED if key not in recipe] if isinstance(recipe, Mapping) else []
    if not missing:
        return dict(plain)
    shared = read_group_file("recipe", "_base")
    return {**plain, "recipe": {**recipe, **{key: shared[key] for key in missing}}}  # type: ignore[dict-item]

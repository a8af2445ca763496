"""Shorter runs: the group ``debug``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from visionkit.schema import parse
from visionkit.settings.numbers import PositiveInt

__all__ = ["Debug"]


@dataclass(frozen=True, kw_only=True)
class Debug:
    """Shorter runs: the group ``debug``.

    Attributes:
        limit_batches: Maximum number of batches per epoch and split; None for all.
        epochs: Replaces ``recipe.epochs``; None keeps it.
        compare_contents: Whether ``dataset.compare_contents`` holds; else files are not read to find copies.
    """

    limit_batches: PositiveInt | None
    epochs: PositiveInt | None
    compare_contents: bool

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> "Debug":
        """Read the group.

        Raises:
            UserError: For an unknown key, a missing one, or a wrong value.
        """
        return parse(cls, values, where="debug")

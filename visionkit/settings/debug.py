"""Shorter runs: the group ``debug``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from visionkit.schema import parse
from visionkit.settings.hardware import Hardware
from visionkit.settings.numbers import PositiveInt
from visionkit.settings.recipe import Recipe

__all__ = ["Debug"]


@dataclass(frozen=True, kw_only=True)
class Debug:
    """Shorter runs: the group ``debug``.

    Attributes:
        limit_batches: Maximum number of batches per epoch and split; None for all.
        batch_size: Largest ``recipe.batch_size``, or one image per device if these are more; None keeps it.
        epochs: Replaces ``recipe.epochs``; None keeps it.
        compare_contents: Whether ``dataset.compare_contents`` holds; else files are not read to find copies.
    """

    limit_batches: PositiveInt | None
    batch_size: PositiveInt | None
    epochs: PositiveInt | None
    compare_contents: bool

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> "Debug":
        """Read the group.

        Raises:
            UserError: For an unknown key, a missing one, or a wrong value.
        """
        return parse(cls, values, where="debug")

    def shorten(self, recipe: Recipe, hardware: Hardware) -> Recipe:
        """The recipe with the epochs of this group, and with at most its batch size, divisible by the devices."""
        batch_size = recipe.batch_size
        if self.batch_size is not None:
            count = hardware.num_nodes * (hardware.devices if isinstance(hardware.devices, int) else 1)
            batch_size = min(batch_size, max(1, self.batch_size // count) * count)
        return replace(recipe, epochs=self.epochs or recipe.epochs, batch_size=batch_size)

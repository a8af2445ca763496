"""A `torch.utils.data.Dataset` that a person hands over in Python, one for each split or one that is divided.

The settings are plain values, as those of other data sets; `PythonSettings.with_datasets` adds the objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from visionkit.data.sources.base import Splits
from visionkit.data.sources.python.settings import PythonSettings

__all__ = ["PythonData"]


@dataclass(frozen=True, kw_only=True)
class PythonData(PythonSettings):
    """Data sets that are Python objects."""

    def splits(self, *, seed: int, saved: Mapping[str, Any] | None = None, strict: bool = False) -> Splits:
        from visionkit.data.sources.python.reader import read_splits

        self.check(strict=strict)
        return read_splits(self, seed=seed, saved=saved, strict=strict)

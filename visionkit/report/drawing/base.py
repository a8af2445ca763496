"""The pictures of a run that differ by its task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

__all__ = ["Drawing"]


class Drawing(ABC):
    """Draws plain arrays and dicts; tensors count as arrays."""

    num_examples: ClassVar[int]
    """How many images `examples` shows."""

    @abstractmethod
    def batch(self, batch: Mapping[str, Any], class_names: Sequence[str], path: Path) -> None:
        """Draw a training batch with its targets."""

    @abstractmethod
    def tables(self, tables: Mapping[str, Any], class_names: Sequence[str], plots: Path) -> None:
        """Draw what the test has said beyond single numbers: `visionkit.metrics.table.Table` by name."""

    @abstractmethod
    def examples(self, examples: Sequence[Mapping[str, Any]], class_names: Sequence[str], path: Path) -> None:
        """Draw predictions beside the truth; nothing where there are none.

        Args:
            examples: ``image`` uint8 (C, H, W), ``truth`` and ``prediction``, as the task's inference gives them.
            class_names: The classes.
            path: Where the PNG goes.
        """

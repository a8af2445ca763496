"""The base class of the plots that depend on a run's task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

__all__ = ["Drawing"]


class Drawing(ABC):
    """Draws the plots of a run from arrays or tensors, and dicts."""

    num_examples: ClassVar[int]
    """The number of images that `examples` chooses from."""
    max_batch: ClassVar[int]
    """The most images that a picture of a batch has."""

    @abstractmethod
    def batch(self, batch: Mapping[str, Any], class_names: Sequence[str], path: Path, *, num_images: int) -> None:
        """Draw a training batch with its targets.

        Args:
            batch: Its first images, `max_batch` at most.
            class_names: The classes.
            path: The PNG file.
            num_images: The images of the whole batch, for the title.
        """

    @abstractmethod
    def tables(self, tables: Mapping[str, Any], class_names: Sequence[str], plots: Path, *, split: str) -> None:
        """Draw the metric tables of a split, each a `visionkit.metrics.table.Table`, into the folder ``plots``."""

    @abstractmethod
    def examples(
        self, examples: Sequence[Mapping[str, Any]], class_names: Sequence[str], path: Path, *, split: str
    ) -> None:
        """Draw predictions beside the ground truth, the worst first; without examples, draw nothing.

        Args:
            examples: ``image`` uint8 (C, H, W), ``truth`` and ``prediction``, as yielded by the task's inference.
            class_names: The classes.
            path: The PNG file.
            split: Of the images.
        """

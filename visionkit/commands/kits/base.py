"""What a task brings to the commands: its pictures, and the files that its predictions become."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from visionkit.errors import UserError
from visionkit.inference.options import PredictOptions
from visionkit.metrics.table import Table

__all__ = ["Results", "TaskKit", "some_images"]


class Results(ABC):
    """The predictions of one call of ``predict``, as they grow.

    Attributes:
        rows: What the JSON document holds of them.
    """

    rows: list[dict[str, Any]]

    @abstractmethod
    def prepare(self, image: Tensor) -> Any:
        """What is kept of an image, uint8 (C, H, W) as it was decoded, until its batch is full."""

    @abstractmethod
    def take(self, paths: Sequence[Path], prepared: Sequence[Any]) -> None:
        """Let the model look at a batch of prepared images."""

    @abstractmethod
    def write(self) -> None:
        """Write everything that is not written yet."""

    @abstractmethod
    def lines(self) -> list[str]:
        """What a person wants to read of them in the end."""


class TaskKit(ABC):
    """The part of the commands that knows what a task predicts."""

    files: ClassVar[tuple[str, ...]]
    """What ``predict`` leaves in its folder."""
    at_once: ClassVar[int] = 1 << 20
    """The most images in a batch of ``predict``."""

    @abstractmethod
    def draw_batch(self, batch: Mapping[str, Tensor], class_names: Sequence[str], path: Path) -> None:
        """Draw a training batch with its targets."""

    @abstractmethod
    def draw_tables(self, tables: Mapping[str, Table], class_names: Sequence[str], plots: Path) -> None:
        """Draw what the test has said beyond single numbers."""

    @abstractmethod
    def draw_predictions(
        self, model: Any, samples: Any, preprocess: Any, class_names: Sequence[str], path: Path
    ) -> None:
        """Draw predictions on images spread over a split beside the truth; nothing where none can be read.

        Args:
            model: A `VisionModel` on any device.
            samples: The split.
            preprocess: As in evaluation.
            class_names: The classes.
            path: Where the PNG goes.
        """

    @abstractmethod
    def results(
        self, model: Any, preprocess: Any, data: Mapping[str, Any], *, target: Path, paths: Sequence[Path],
        precision: str, options: PredictOptions,
    ) -> Results:  # fmt: skip
        """Predictions to be made.

        Args:
            model: A `VisionModel` on its device.
            preprocess: The way of an image into the model.
            data: What the run's ``data.json`` says.
            target: The folder of the results, perhaps not there yet.
            paths: All images, some of which may prove unreadable.
            precision: As in ``hardware.precision``.
            options: What the person wishes.

        Raises:
            UserError: If the task knows nothing of it.
        """


def some_images(samples: Any, number: int) -> Iterator[tuple[int, Tensor]]:
    """Positions and images spread evenly over a split; unreadable ones, counted elsewhere, are left out."""
    positions = torch.linspace(0, len(samples) - 1, min(number, len(samples))).round().long().tolist()
    for position in positions:
        try:
            yield position, samples.image(position)
        except UserError:
            continue


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which a model computes in the precision of its run."""
    reduced = {"bf16": torch.bfloat16, "16": torch.float16}.get(precision)
    return torch.autocast(device.type, reduced, enabled=reduced is not None)

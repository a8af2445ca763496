"""A trained model on images as they were decoded: what every task's inference has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypedDict

import torch
from torch import Tensor

from visionkit.errors import UserError
from visionkit.inference.options import PredictOptions

__all__ = ["Example", "Inference", "Prediction", "autocast"]

Prediction = dict[str, Any]
"""What a model says of one image, on the CPU, in pixels of the image as it was decoded."""


class Example(TypedDict):
    """An image of a data set, uint8 (C, H, W), what is known of it, and what a model says."""

    image: Tensor
    truth: Any
    prediction: Prediction


class Inference(ABC):
    """Predicts what images hold.

    Args:
        model: A `visionkit.models.VisionModel` on its device; it is put into evaluation mode.
        transform: The way of an image into the model, as in evaluation.
        data: What the run's ``data.json`` says.
        precision: As in ``hardware.precision``.
        options: What the person wishes.

    Raises:
        UserError: If the task knows nothing of an option.
    """

    batch_limit: ClassVar[int] = 1 << 20
    """The most images in a batch."""

    def __init__(
        self,
        model: Any,
        transform: Any,
        data: Mapping[str, Any],
        *,
        precision: str = "32",
        options: PredictOptions | None = None,
    ) -> None:
        self.options = options or PredictOptions()
        self.check_options()
        self.model, self.transform, self.data, self.precision = model.eval(), transform, data, precision

    def check_options(self) -> None:  # noqa: B027 - some tasks take all
        """Refuse options that the task knows nothing of.

        Raises:
            UserError: For the first of them.
        """

    @abstractmethod
    def prepare(self, image: Tensor) -> Any:
        """What is kept of an image, uint8 (C, H, W) as it was decoded, until its batch is full."""

    @abstractmethod
    def predict(self, prepared: Sequence[Any]) -> list[Prediction]:
        """What the model says of a batch of prepared images."""

    @abstractmethod
    def examples(self, dataset: Any, count: int) -> Iterator[Example]:
        """Images spread evenly over a split with truth and prediction; those that cannot be read are left out."""

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def _images(self, dataset: Any, count: int) -> Iterator[tuple[int, Tensor]]:
        """Positions and images spread evenly over a split."""
        positions = torch.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().long().tolist()
        for position in positions:
            try:
                yield position, dataset.image(position)
            except UserError:
                continue


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which a model computes in the precision of its run."""
    reduced = {"bf16": torch.bfloat16, "16": torch.float16}.get(precision)
    return torch.autocast(device.type, reduced, enabled=reduced is not None)

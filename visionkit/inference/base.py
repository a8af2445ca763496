"""The base class of every task's inference: a trained model on images as they were decoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypedDict

import torch
from torch import Tensor

from visionkit.data.images import LoadedImage
from visionkit.errors import UserError
from visionkit.inference.options import PredictOptions
from visionkit.inference.predictions.base import Prediction as ImagePrediction

__all__ = ["Example", "Inference", "Prediction", "autocast"]

Prediction = dict[str, Any]
"""A model's predictions on one image, on the CPU, in pixels of the image as it was decoded."""


class Example(TypedDict):
    """An image of a data set, uint8 (C, H, W), with its ground truth and a model's prediction."""

    image: Tensor
    truth: Any
    prediction: Prediction


class Inference(ABC):
    """Predicts labels, objects or masks of images.

    Args:
        model: A `visionkit.models.VisionModel` on its device; it is put into evaluation mode.
        transform: A `visionkit.data.InputTransform`, as in evaluation.
        data: The content of the run's ``data.json``.
        precision: As in ``hardware.precision``.
        options: The user's options.

    Raises:
        UserError: If the task does not support an option.
    """

    batch_limit: ClassVar[int] = 1 << 20
    """The maximum number of images in a batch."""

    prediction_class: ClassVar[type[ImagePrediction]]
    """What a person gets for an image."""

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

    def check_options(self) -> None:  # noqa: B027 - a task may support all
        """Refuse options that the task does not support.

        Raises:
            UserError: For the first of them.
        """

    @property
    def wants_original(self) -> bool:
        """Whether `prepare` needs images at their full size."""
        return False

    @abstractmethod
    def prepare(self, image: LoadedImage) -> Any:
        """Transform one image into an element of a batch for `predict`.

        Args:
            image: After `visionkit.data.InputTransform.fit`, or whole if `wants_original`, and its original size.
        """

    def fit(self, image: Tensor) -> LoadedImage:
        """An image in memory, uint8 or float32 (C, H, W) in 0..255, for `prepare`."""
        pixels = image if self.wants_original else self.transform.fit(image)
        return LoadedImage(pixels, (image.shape[-2], image.shape[-1]))

    def read(self, path: Path, reader: Any) -> LoadedImage:
        """The image of a file for `prepare`, resized as in training and evaluation.

        Args:
            path: The file.
            reader: A `visionkit.data.images.ImageReader`.

        Raises:
            UserError: If the file cannot be read.
        """
        if self.wants_original:
            return reader.read(path)  # type: ignore[no-any-return]
        loaded = reader.read(path, target=self.transform.content_size)
        return loaded._replace(pixels=self.transform.place(loaded.pixels))  # type: ignore[no-any-return]

    @abstractmethod
    def predict(self, prepared: Sequence[Any]) -> list[Prediction]:
        """Predict a batch of prepared images."""

    @abstractmethod
    def examples(self, dataset: Any, count: int) -> Iterator[Example]:
        """Evenly spaced images of a split with ground truth and prediction; unreadable images are skipped."""

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def _images(self, dataset: Any, count: int) -> Iterator[tuple[int, LoadedImage]]:
        """Evenly spaced positions of a split and their images for `prepare`."""
        positions = torch.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().long().tolist()
        for position in positions:
            try:
                yield position, self._load(dataset, position)
            except UserError:
                continue

    def _load(self, dataset: Any, position: int) -> LoadedImage:
        if not self.wants_original:
            return dataset.fitted(position, self.transform)  # type: ignore[no-any-return]
        return self.fit(dataset.image(position))


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context for a forward pass in the precision of the run."""
    dtype = {"bf16": torch.bfloat16, "16": torch.float16}.get(precision)
    return torch.autocast(device.type, dtype, enabled=dtype is not None)

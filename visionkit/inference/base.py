"""The base class of every task's inference: a trained model on images as they were decoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, TypedDict

import torch
from torch import Tensor

from visionkit.data.image_rows import ImageRows
from visionkit.data.images import ImageReader, LoadedImage
from visionkit.errors import UserError
from visionkit.inference.options import PredictOptions
from visionkit.inference.predictions.base import Prediction
from visionkit.inference.sliding_window import DEFAULT_OVERLAP, OnProgress

__all__ = ["Example", "Inference", "Outputs", "autocast"]

_EXAMPLES_BATCH = 32
_MIN_WINDOW, _MAX_ENLARGED = 32, 8

Outputs = dict[str, Any]
"""What a model says of one image, on the CPU, in pixels of the image as it was decoded."""


class Example(TypedDict):
    """An image of a data set, uint8 (C, H, W), with its ground truth and a model's prediction."""

    image: Tensor
    truth: Any
    prediction: Outputs


class Inference(ABC):
    """Predicts labels, objects or masks of images.

    Args:
        model: A `visionkit.models.VisionModel` on its device; it is put into evaluation mode.
        transform: A `visionkit.data.InputTransform`, as in evaluation.
        data: The content of the run's ``data.json``.
        precision: As in ``hardware.precision``.
        options: The user's options.

    Attributes:
        window: Height and width in pixels of the windows that slide over each image; None for whole images.
        overlap: The fraction of a window that neighbours share.

    Raises:
        UserError: If the task does not support an option.
    """

    batch_limit: ClassVar[int] = 1 << 20
    """The maximum number of images in a batch."""
    has_windows: ClassVar[bool] = False
    """Whether images can be looked at by windows: what a window shows is then part of what the image shows."""

    prediction_class: ClassVar[type[Prediction]]
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
        self.window = None if self.options.window is None else choose_window(self.options.window, data["image_size"])
        self.overlap = DEFAULT_OVERLAP if self.options.overlap is None else self.options.overlap

    @property
    def max_detections(self) -> int | None:
        """The most objects of one image, whole or by windows; None for any number, or for a task without objects."""
        return None

    @property
    def value_range(self) -> tuple[float, float] | None:
        """The values that are read as 0 and 255: those of the user, else of the training; None for images of 8 bits."""
        stored = self.data.get("value_range")
        return self.options.value_range or (None if stored is None else (stored[0], stored[1]))

    def check_options(self) -> None:  # noqa: B027 - a task may support all
        """Refuse options that the task does not support.

        Raises:
            UserError: For the first of them.
        """

    @abstractmethod
    def prepare(self, image: LoadedImage) -> Any:
        """Transform one image into an element of a batch for `predict`.

        Args:
            image: After `visionkit.data.InputTransform.fit`, with its original size.
        """

    def fit(self, image: Tensor) -> LoadedImage:
        """An image in memory, uint8 or float32 (C, H, W) in 0..255, for `prepare`."""
        return LoadedImage(self.transform.fit(image), (image.shape[-2], image.shape[-1]))

    def read(self, path: Path, reader: ImageReader) -> LoadedImage:
        """The image of a file for `prepare`, resized as in training and evaluation.

        Args:
            path: The file.
            reader: How files become tensors.

        Raises:
            UserError: If the file cannot be read.
        """
        pixels, size = reader.read(path, target=self.transform.content_size)
        return LoadedImage(self.transform.place(pixels), size)

    @abstractmethod
    def predict(self, prepared: Sequence[Any]) -> list[Outputs]:
        """Predict a batch of prepared images."""

    def predict_windows(self, image: ImageRows, *, on_progress: OnProgress = lambda done, total: None) -> Outputs:
        """Predict one image by windows of its own pixels, each of which is transformed like a whole image.

        Args:
            image: Read from the top down.
            on_progress: Called now and then, before the first window and after the last.

        Raises:
            UserError: If the image cannot be decoded, or its result does not fit into memory.
        """
        raise NotImplementedError(f"{type(self).__name__} looks at images as a whole.")

    def is_cut(self, outputs: Outputs) -> bool:
        """Whether an image may have more objects of a score that is drawn than are kept of one image."""
        return False

    @abstractmethod
    def examples(self, dataset: Any, count: int) -> Iterator[Example]:
        """Evenly spaced images of a split with ground truth and prediction; unreadable images are skipped."""

    def _predict_examples(self, truths: Sequence[Any], images: Sequence[Tensor]) -> Iterator[Example]:
        """Examples of whole images that were prepared, predicted in batches."""
        for start in range(0, len(images), _EXAMPLES_BATCH):
            part = slice(start, start + _EXAMPLES_BATCH)
            for truth, image, prediction in zip(truths[part], images[part], self.predict(images[part]), strict=True):
                yield {"image": image, "truth": truth, "prediction": prediction}

    @cached_property
    def device(self) -> torch.device:
        """The device of the model; the CPU for one without parameters, which another runtime computes."""
        parameter = next(self.model.parameters(), None)
        return torch.device("cpu") if parameter is None else parameter.device

    def images(self, dataset: Any, count: int) -> Iterator[tuple[int, LoadedImage]]:
        """Evenly spaced positions of a split and their images for `prepare`."""
        positions = torch.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().long().tolist()
        for position in positions:
            try:
                yield position, dataset.fitted(position, self.transform)
            except UserError:
                continue


def choose_window(window: tuple[int, int] | Literal["auto"], image_size: Sequence[int]) -> tuple[int, int]:
    """Height and width of windows in pixels.

    Args:
        window: As in `PredictOptions`.
        image_size: Those that windows are resized to, as images in training.

    Raises:
        UserError: If a side is smaller than an eighth of the size of training, and than 32 pixels: windows would be
            enlarged to mere blurs, in numbers that take hours.
    """
    if window == "auto":
        return image_size[0], image_size[1]
    least = tuple(min(side, max(_MIN_WINDOW, side // _MAX_ENLARGED)) for side in image_size)
    if window[0] < least[0] or window[1] < least[1]:
        enough = f"{least[0]}" if least[0] == least[1] else f"[{least[0]},{least[1]}]"
        raise UserError(
            f"window: found [{window[0]},{window[1]}], and a window would be enlarged to the {image_size[0]} x "
            f"{image_size[1]} pixels of the training: it shows too little, and a picture has too many. Expected at "
            f"least [{least[0]},{least[1]}]. Try: window=auto, or window={enough}"
        )
    return window


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """The context for a forward pass in the precision of the run, whatever that of the caller is."""
    dtype = {"bf16": torch.bfloat16, "16": torch.float16}.get(precision)
    if dtype is None and not torch.is_autocast_enabled(device.type):
        return nullcontext()  # a context of torch takes a share of a small network's time
    return torch.autocast(device.type, dtype, enabled=dtype is not None)

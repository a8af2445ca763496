"""One object that a person holds: a trained model, its class names, and how images are read and resized for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.errors import UserError
from visionkit.inference.image_kinds import KindCheck
from visionkit.inference.inputs import ImageInput, iterate_inputs, single_input
from visionkit.inference.notes import EXACT, Notes

if TYPE_CHECKING:
    from visionkit.data.findings import Finding
    from visionkit.data.images import ImageReader
    from visionkit.inference.base import Inference
    from visionkit.inference.predictions import Prediction

__all__ = ["Predictor"]

_MAX_DRAWN_PIXELS = 50_000_000
_MAX_DRAWN_SIDE = 65_000  # of JPEG files: 65,535

OnError = Callable[[str, UserError], None]
OnWindows = Callable[[str, int, int], None]
"""Called with the name of an image, the number of its windows that are done, and that of all."""


class Predictor:
    """Predicts on a person's images; made by `visionkit.load`.

    It may be used from several threads at once.

    Args:
        inference: The task's inference with the model on its device.
        reader: How images are read, as in training.
        task: Name of the task.
        batch_size: The maximum number of images in a batch.
        path: The folder of the run, or the exported file.
        on_note: Called with the first finding of each kind about the images.
    """

    def __init__(
        self,
        inference: Inference,
        reader: ImageReader,
        *,
        task: str,
        batch_size: int,
        path: Path | None = None,
        on_note: Callable[[Finding], None] | None = None,
    ) -> None:
        self.inference, self.reader, self.task, self.path = inference, reader, task, path
        self._notes = Notes(on_note)
        trained = inference.data.get("value_range")
        check = KindCheck(
            self._notes,
            in_channels=reader.in_channels,
            value_range=reader.value_range,
            trained_range=None if trained is None else (trained[0], trained[1]),
        )
        self._checking_reader = replace(reader, on_kind=check)
        self.batch_size = 1 if inference.window is not None else min(batch_size, inference.batch_limit)

    def __repr__(self) -> str:
        source = "" if self.path is None else f" of {str(self.path)!r}"
        height, width = self.image_size
        return f"<Predictor{source}: {self.task}, {len(self.class_names)} classes, images of {height}x{width} pixels>"

    @property
    def findings(self) -> list[Finding]:
        """What is to be said of the images that were predicted on so far, counted: those of another kind than the
        training's, and those of which objects were cut."""
        return self._notes.findings

    @property
    def data(self) -> Mapping[str, Any]:
        """What the run knows of its data: the content of ``data.json``."""
        return self.inference.data

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of their ids."""
        return tuple(self.data["class_names"])

    @property
    def category_ids(self) -> tuple[int | str, ...]:
        """The data set's own id of each class."""
        return tuple(self.data.get("category_ids") or range(len(self.class_names)))

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels to which images are resized."""
        height, width = self.data["image_size"]
        return height, width

    @property
    def device(self) -> Any:
        """The `torch.device` of the model."""
        return self.inference.device

    def predict(self, images: Any) -> Any:
        """Predict on one image, or on several.

        Args:
            images: A path, a Pillow image, a NumPy array (H, W) or (H, W, C), or a tensor (C, H, W) is one image;
                arrays and tensors are uint8, 0..255, or of the values that ``value_range`` or the training's images
                have. A folder, a pattern such as ``"photos/*.jpg"``, a list, or an array or tensor with an axis more
                are several. Of an iterator, one batch is in memory at a time.

        Returns:
            A `Prediction` for one image, a list of them for several, and an iterator over them for an iterator.

        Raises:
            UserError: If an image cannot be read or is none. An iterator has given the predictions before it by then.
        """
        single = single_input(images)
        if single is not None:
            (prediction,) = self._predict_batch([single])
            return prediction
        return self.stream(images) if isinstance(images, Iterator) else list(self.stream(images))

    def stream(
        self, images: Any, *, on_error: OnError | None = None, on_windows: OnWindows | None = None
    ) -> Iterator[Prediction]:
        """Predict on any number of images, one batch in memory at a time.

        Args:
            images: As for `predict`.
            on_error: Called with the name of each image that cannot be read, and the reason, instead of an end there.
            on_windows: Called while windows slide over an image, before the first and after the last.

        Yields:
            The prediction of each image, in their order.

        Raises:
            UserError: If an image cannot be read or is none; the predictions before it have been given by then.
            Exception: What an iterator of the caller's raises, likewise.
        """
        inputs = iterate_inputs(images)
        while True:
            batch: list[ImageInput] = []
            failure: Exception | None = None
            try:
                batch.extend(islice(inputs, self.batch_size))
            except Exception as error:  # of the caller's iterator too; what came before is kept
                failure = error
            yield from self._predict_batch(batch, on_error, on_windows)
            if failure is not None:
                raise failure
            if len(batch) < self.batch_size:
                return

    def _predict_batch(
        self,
        batch: list[ImageInput],
        on_error: OnError | None = None,
        on_windows: OnWindows | None = None,
    ) -> Iterator[Prediction]:
        """The predictions of the images that can be read; the first that cannot is an error after those before it."""
        done, failure = self._read_batch(batch, on_error, on_windows)
        by_windows = self.inference.window is not None
        outputs = [found for _, _, found in done]
        if done and not by_windows:
            outputs = self.inference.predict(outputs)
        make, min_score = self.inference.prediction_class, self.inference.options.min_score
        class_names, category_ids = self.class_names, self.category_ids
        limit = self.inference.max_detections
        for (image, size, _), found in zip(done, outputs, strict=True):
            if limit is not None and self.inference.is_cut(found):
                self._notes.add("objects-cut", image.name, limit=f"{limit:,}", more=str(10 * limit))
            if not found.pop(EXACT, True):
                self._notes.add("suppression-cut", image.name)
            read_image = partial(_read_picture, image, self.reader, by_windows)
            yield make(found, class_names, size, image.path, category_ids, min_score, read_image)
        if failure is not None:
            raise failure

    def _read_batch(
        self, batch: list[ImageInput], on_error: OnError | None, on_windows: OnWindows | None
    ) -> tuple[list[tuple[ImageInput, tuple[int, int], Any]], UserError | None]:
        """Each image that can be read, its height and width, and what the model takes for it; and the first error.

        By windows, what the model says of the image stands for what it takes.
        """
        from torch import inference_mode

        done: list[tuple[ImageInput, tuple[int, int], Any]] = []
        inference, reader, by_windows = self.inference, self._checking_reader, self.inference.window is not None
        report = on_windows or (lambda name, done, total: None)
        with inference_mode():  # of small images, what autograd keeps of a tensor is a share of reading them
            for image in batch:
                try:
                    if not by_windows:
                        loaded = image.load(inference, reader)
                        done.append((image, loaded.size, inference.prepare(loaded)))
                        continue
                    rows = image.rows(reader)
                    found = inference.predict_windows(rows, on_progress=partial(report, image.name))
                    done.append((image, rows.size, found))
                except UserError as error:
                    if on_error is None:
                        return done, error
                    on_error(image.name, error)
        return done, None


def _read_picture(image: ImageInput, reader: ImageReader, by_windows: bool) -> tuple[Any, int]:
    """The pixels of an image, and the divisor of its sides: one that was looked at by windows may be of any size."""
    if not by_windows:
        return image.original(reader).pixels, 1
    rows = image.rows(reader)
    reduced = max(
        math.ceil(math.sqrt(math.prod(rows.size) / _MAX_DRAWN_PIXELS)), math.ceil(max(rows.size) / _MAX_DRAWN_SIDE)
    )
    return rows.reduced(reduced), reduced

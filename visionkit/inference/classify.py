"""Inference of classification: the most likely class and the probabilities of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from visionkit.data.images import LoadedImage
from visionkit.inference.base import Example, Inference, Outputs, autocast
from visionkit.inference.predictions.base import Prediction
from visionkit.inference.predictions.classification import Classification

__all__ = ["ClassifyInference"]


class ClassifyInference(Inference):
    """Predictions are ``label``, ``score`` and ``probabilities``, a list with one value per class."""

    prediction_class: ClassVar[type[Prediction]] = Classification

    def check_options(self) -> None:
        self.options.allow(
            reason="this run classifies: every image gets the class with the highest score, and the table has all."
        )

    def prepare(self, image: LoadedImage) -> Tensor:
        prepared: Tensor = self.transform.pad(image.pixels)
        return prepared

    def predict(self, prepared: Sequence[Tensor]) -> list[Outputs]:
        predictions = self._run(prepared)
        labels, probabilities = predictions["labels"].tolist(), predictions["probabilities"].tolist()
        return [
            {"label": label, "score": row[label], "probabilities": row}
            for label, row in zip(labels, probabilities, strict=True)
        ]

    def examples(self, dataset: Any, count: int) -> Iterator[Example]:
        """The image is the model's input, the truth a class id, or in multi-label classification a list of them."""
        found = [(position, self.prepare(image)) for position, image in self.images(dataset, count)]
        truths = [self._truth(dataset, position) for position, _ in found]
        return self._predict_examples(truths, [image for _, image in found])

    def _run(self, prepared: Sequence[Tensor]) -> dict[str, Tensor]:
        """What the model predicts of a batch, such as ``probabilities`` (B, K)."""
        with torch.inference_mode(), autocast(self.device, self.precision):
            predictions: dict[str, Tensor] = self.model.predict(self.model(torch.stack(list(prepared)).to(self.device)))
        return predictions

    def _truth(self, dataset: Any, position: int) -> Any:
        """The class id of an image."""
        return int(dataset.labels[position])

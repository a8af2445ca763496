"""Inference of multi-label classification: the classes that an image has, and the probabilities of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from visionkit.data.images import LoadedImage
from visionkit.inference.base import Example, Inference, Outputs, autocast
from visionkit.inference.predictions.classification import LabelSet

__all__ = ["MultilabelInference"]


class MultilabelInference(Inference):
    """Predictions are ``labels``, the classes of at least ``min_score``, the most likely first; and ``probabilities``.

    ``probabilities`` is a list with one value per class.
    """

    prediction_class = LabelSet
    default_min_score: ClassVar[float] = 0.5

    def check_options(self) -> None:
        self.options.allow("min_score", reason="this run classifies: every image gets all classes that are likely.")

    def prepare(self, image: LoadedImage) -> Tensor:
        prepared: Tensor = self.transform.pad(image.pixels)
        return prepared

    def predict(self, prepared: Sequence[Tensor]) -> list[Outputs]:
        with torch.inference_mode(), autocast(self.device, self.precision):
            predictions = self.model.predict(self.model(torch.stack(list(prepared)).to(self.device)))
        least = self.default_min_score if self.options.min_score is None else self.options.min_score
        probabilities: list[list[float]] = predictions["probabilities"].tolist()
        return [
            {
                "labels": sorted((k for k, value in enumerate(row) if value >= least), key=lambda k: -row[k]),
                "probabilities": row,
            }
            for row in probabilities
        ]

    def examples(self, dataset: Any, count: int) -> Iterator[Example]:
        """The image is the model's input, the truth a list of class ids."""
        found = [(position, self.prepare(image)) for position, image in self.images(dataset, count)]
        truths = [dataset.labels[position].nonzero()[:, 0].tolist() for position, _ in found]
        return self._predict_examples(truths, [image for _, image in found])

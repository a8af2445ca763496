"""Inference of multi-label classification: the classes that an image has, and the probabilities of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor

from visionkit.inference.base import Outputs
from visionkit.inference.classify import ClassifyInference
from visionkit.inference.predictions.classification import LabelSet

__all__ = ["MultilabelInference"]


class MultilabelInference(ClassifyInference):
    """Predictions are ``labels``, the classes of at least ``min_score``, the most likely first; and ``probabilities``.

    ``probabilities`` is a list with one value per class.
    """

    prediction_class = LabelSet
    default_min_score: ClassVar[float] = 0.5

    def check_options(self) -> None:
        self.options.allow("min_score", reason="this run classifies: every image gets all classes that are likely.")

    def predict(self, prepared: Sequence[Tensor]) -> list[Outputs]:
        least = self.default_min_score if self.options.min_score is None else self.options.min_score
        probabilities: list[list[float]] = self._run(prepared)["probabilities"].tolist()
        return [
            {
                "labels": sorted((k for k, value in enumerate(row) if value >= least), key=lambda k: -row[k]),
                "probabilities": row,
            }
            for row in probabilities
        ]

    def _truth(self, dataset: Any, position: int) -> list[int]:
        """The ids of the classes that an image has."""
        truth: list[int] = dataset.labels[position].nonzero()[:, 0].tolist()
        return truth

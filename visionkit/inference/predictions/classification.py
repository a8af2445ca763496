"""Predictions of classification and multi-label classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from visionkit.errors import UserError
from visionkit.inference.predictions.base import Prediction, optional_package
from visionkit.schema import describe

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["Classification", "LabelSet"]


class _Probabilities(Prediction):
    """A probability for each class."""

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """The probability of each class, float32 (K,), 0 to 1, in the order of ``class_names``."""
        return np.asarray(self.outputs["probabilities"], dtype=np.float32)

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """The most probable classes, and their probabilities.

        Raises:
            UserError: If ``count`` is less than 1.
        """
        if not isinstance(count, int) or count < 1:
            raise UserError(f"top: found {describe(count)}, expected a number of classes, such as top(5).")
        order = np.argsort(-self.probabilities, kind="stable")[:count].tolist()
        return [(self.class_names[class_id], float(self.probabilities[class_id])) for class_id in order]

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with a row per class: ``class_id``, ``class`` and ``probability``.

        Raises:
            UserError: If pandas is not installed.
        """
        return optional_package("pandas", "to_pandas").DataFrame(
            {
                "class_id": range(len(self.class_names)),
                "class": self.class_names,
                "probability": self.probabilities,
            }
        )

    def _by_name(self) -> dict[str, float]:
        return dict(zip(self.class_names, map(float, self.outputs["probabilities"]), strict=True))


class Classification(_Probabilities):
    """The class of an image."""

    @property
    def label(self) -> str:
        """The name of the most probable class."""
        return self.class_names[self.class_id]

    @property
    def class_id(self) -> int:
        """The id of the most probable class, from 0."""
        return int(self.outputs["label"])

    @property
    def score(self) -> float:
        """The probability of the most probable class."""
        return float(self.outputs["score"])

    def to_dict(self) -> dict[str, Any]:
        return {
            "file": None if self.path is None else str(self.path),
            "label": self.class_id,
            "class": self.label,
            "score": self.score,
            "probabilities": self._by_name(),
        }

    def to_supervision(self) -> Any:
        """A `supervision.Classifications`.

        Raises:
            UserError: If supervision is not installed.
        """
        return optional_package("supervision", "to_supervision").Classifications(
            class_id=np.arange(len(self.class_names)), confidence=self.probabilities
        )

    def draw(self) -> Image.Image:
        from visionkit.report.captions import draw_classes

        return draw_classes(self.read_image()[0], self.class_names, self.outputs["probabilities"])

    def _summary(self) -> str:
        return f"{self.label} {self.score:.1%}"


class LabelSet(_Probabilities):
    """The classes that an image has, of which there may be any number."""

    @property
    def class_ids(self) -> list[int]:
        """The ids of the image's classes, the most probable first."""
        return [int(class_id) for class_id in self.outputs["labels"]]

    @property
    def labels(self) -> list[str]:
        """The names of the image's classes, the most probable first."""
        return self._names(self.class_ids)

    @property
    def scores(self) -> list[float]:
        """The probabilities of the image's classes, the highest first."""
        return [float(self.outputs["probabilities"][class_id]) for class_id in self.class_ids]

    def to_dict(self) -> dict[str, Any]:
        return {
            "file": None if self.path is None else str(self.path),
            "labels": self.class_ids,
            "classes": self.labels,
            "scores": self.scores,
            "probabilities": self._by_name(),
        }

    def draw(self) -> Image.Image:
        from visionkit.report.captions import draw_label_set

        probabilities = self.outputs["probabilities"]
        return draw_label_set(self.read_image()[0], self.class_names, probabilities, self.class_ids)

    def _summary(self) -> str:
        return ", ".join(f"{name} {score:.1%}" for name, score in zip(self.labels, self.scores, strict=True)) or "none"

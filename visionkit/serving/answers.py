"""Predictions as the documents of an answer, cut down to what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from visionkit.inference.predictions.classification import Classification, LabelSet
from visionkit.inference.predictions.objects import Detections
from visionkit.schema import quote
from visionkit.serving.uploads import UploadError

if TYPE_CHECKING:
    from visionkit.inference.predictions import Prediction

__all__ = ["AnswerOptions", "with_min_score"]


@dataclass(frozen=True)
class AnswerOptions:
    """What a request asks for.

    Attributes:
        min_score: Objects, or classes of an image that may have several, with a lower score are left out; None for
            all objects, and for the classes that the run says.
        top: So many objects, or probabilities, of the highest score; None for all.
    """

    min_score: float | None
    top: int | None

    @classmethod
    def read(cls, query: Mapping[str, str]) -> AnswerOptions:
        """Parse the part of an address behind its question mark.

        Raises:
            UploadError: If a key is unknown or a value invalid.
        """
        unknown = sorted(set(query) - {"min_score", "top"})
        if unknown:
            raise UploadError(
                f"{quote(unknown[0])} is not known here. Expected ?min_score=0.5 or ?top=5, and the bytes of the image "
                "as the body: a path or an address is not read.",
                status=422,
            )
        return cls(_parse_score(query.get("min_score")), _parse_top(query.get("top")))

    def document(self, prediction: Prediction, task: str) -> dict[str, Any]:
        """The prediction's `to_dict` with its task.

        Raises:
            UploadError: If the task does not have an option.
        """
        if self.min_score is not None:
            if not isinstance(prediction, LabelSet | Detections):
                raise UploadError(
                    f"min_score is for runs that find objects or several classes, and this one has the task {task}. "
                    "Leave it out.",
                    status=422,
                )
            prediction = with_min_score(prediction, self.min_score)
        document = {"task": task, **prediction.to_dict()}
        if self.top is None:
            return document
        if isinstance(prediction, Classification | LabelSet):
            return {**document, "probabilities": dict(prediction.top(self.top))}
        if isinstance(prediction, Detections):
            return {**document, "objects": document["objects"][: self.top]}
        raise UploadError(
            f"top is for classes and objects, and this run has the task {task}. Leave it out.", status=422
        )


def with_min_score(prediction: Prediction, min_score: float) -> Prediction:
    """A prediction of several classes or of objects with those of at least this score alone; another as it is."""
    if isinstance(prediction, LabelSet):
        probabilities = prediction.outputs["probabilities"]
        likely = [k for k, value in enumerate(probabilities) if value >= min_score]
        outputs = {**prediction.outputs, "labels": sorted(likely, key=lambda k: -probabilities[k])}
        return replace(prediction, outputs=outputs, min_score=min_score)
    if isinstance(prediction, Detections):
        from visionkit.report.drawing.detect import with_score

        return replace(prediction, outputs=with_score(prediction.outputs, min_score), min_score=min_score)
    return prediction


def _parse_score(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UploadError(
            f"min_score: expected a number from 0 to 1, found {quote(text)}. Try: ?min_score=0.5", status=422
        )
    return value


def _parse_top(text: str | None) -> int | None:
    if text is None:
        return None
    digits = text.lstrip("0")[:9]
    if not text.isascii() or not text.isdigit() or not digits:
        raise UploadError(f"top: expected a whole number above 0, found {quote(text)}. Try: ?top=5", status=422)
    return int(digits)

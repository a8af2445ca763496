"""Predictions of detection and instance segmentation."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from visionkit.inference.predictions.base import Prediction, optional_package

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["Detections", "Instances"]


class Detections(Prediction):
    """The objects of an image, those of the highest score first."""

    kind: ClassVar[str] = "boxes"
    """What the objects are called in pictures."""

    @property
    def boxes(self) -> NDArray[np.float32]:
        """float32 (n, 4): left, top, right, bottom in pixels of the image."""
        boxes: NDArray[np.float32] = self.outputs["boxes"].numpy()
        return boxes

    @property
    def scores(self) -> NDArray[np.float32]:
        """float32 (n,), 0 to 1."""
        scores: NDArray[np.float32] = self.outputs["scores"].numpy()
        return scores

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64 (n,): the ids of the objects' classes, from 0."""
        labels: NDArray[np.int64] = self.outputs["labels"].numpy()
        return labels

    @property
    def names(self) -> list[str]:
        """The names of the objects' classes."""
        return self._names(self.labels.tolist())

    def __len__(self) -> int:
        """The number of objects."""
        return len(self.outputs["labels"])

    def to_coco(self, image_id: int | str = 1) -> list[dict[str, Any]]:
        """The objects in the form of COCO's results.

        Args:
            image_id: The image's own id in its data set.
        """
        from visionkit.report.writers.detect import coco_results

        name = None if self.path is None else str(self.path)
        return coco_results(
            self.outputs, self.class_names, image_id=image_id, category_ids=self.category_ids, file_name=name
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "file": None if self.path is None else str(self.path),
            "height": self.size[0],
            "width": self.size[1],
            "objects": [
                {"label": label, "class": name, "score": score, "box": box, **self._mask_entry(number)}
                for number, (label, name, score, box) in enumerate(
                    zip(self.labels.tolist(), self.names, self.scores.tolist(), self.boxes.tolist(), strict=True)
                )
            ],
        }

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with a row per object: ``class``, ``score``, ``left``, ``top``, ``right``, ``bottom``.

        Raises:
            UserError: If pandas is not installed.
        """
        pandas = optional_package("pandas", "to_pandas")
        frame = pandas.DataFrame(self.boxes, columns=["left", "top", "right", "bottom"])
        frame.insert(0, "score", self.scores)
        frame.insert(0, "class", self.names)
        return frame

    def to_supervision(self) -> Any:
        """A `supervision.Detections`, with masks where there are any.

        Raises:
            UserError: If supervision is not installed.
        """
        return optional_package("supervision", "to_supervision").Detections(
            xyxy=self.boxes,
            confidence=self.scores,
            class_id=self.labels,
            data={"class_name": np.array(self.names)},
            **self._supervision_masks(),
        )

    def draw(self) -> Image.Image:
        from visionkit.report.drawing.detect import MIN_SCORE, draw_objects, with_score

        least = MIN_SCORE if self.min_score is None else self.min_score
        image, reduced = self.read_image()
        shown = with_score(self.outputs, least)
        return draw_objects(image, shown, self.class_names, kind=self.kind, min_score=least, reduced=reduced)

    def _mask_entry(self, number: int) -> dict[str, Any]:
        return {}

    def _supervision_masks(self) -> dict[str, Any]:
        return {}

    def _summary(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in Counter(self.names).most_common()) or "no objects"


class Instances(Detections):
    """The objects of an image with their masks, those of the highest score first."""

    kind = "masks"

    @property
    def masks(self) -> NDArray[np.bool_]:
        """bool (n, H, W): the pixels of each object. Decoded at each use: a hundred masks of a photo take gigabytes."""
        from visionkit.structures.rle import decode_mask

        decoded = [decode_mask(runs) for runs in self.outputs["masks"]]
        return np.stack(decoded) if decoded else np.zeros((0, *self.size), dtype=bool)

    def _mask_entry(self, number: int) -> dict[str, Any]:
        return {"segmentation": self.outputs["masks"][number]}

    def _supervision_masks(self) -> dict[str, Any]:
        return {"mask": self.masks} if len(self) else {}

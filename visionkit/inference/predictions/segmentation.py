"""Predictions of semantic segmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from visionkit.inference.predictions.base import Prediction, optional_package

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["Segmentation"]


class Segmentation(Prediction):
    """The class of each pixel of an image."""

    @property
    def mask(self) -> NDArray[np.uint8]:
        """uint8 (H, W): the id of each pixel's class, from 0."""
        mask: NDArray[np.uint8] = self.outputs["mask"].numpy()
        return mask

    @property
    def pixels(self) -> dict[str, int]:
        """The number of pixels of each class that occurs."""
        counts = np.bincount(self.mask.ravel(), minlength=len(self.class_names)).tolist()
        return {name: count for name, count in zip(self.class_names, counts, strict=False) if count}

    def to_dict(self) -> dict[str, Any]:
        """As the base class; the mask as an uncompressed list of run lengths, row by row: ``[id, count, ...]``."""
        flat = self.mask.ravel()
        starts = np.flatnonzero(np.diff(flat, prepend=flat[:1] + 1))
        lengths = np.diff(starts, append=flat.size)
        return {
            "file": None if self.path is None else str(self.path),
            "height": self.size[0],
            "width": self.size[1],
            "classes": list(self.class_names),
            "pixels": self.pixels,
            "runs": np.stack([flat[starts].astype(np.int64), lengths], axis=1).ravel().tolist(),
        }

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with a row per class that occurs: ``class``, ``pixels`` and ``share``, 0 to 1.

        Raises:
            UserError: If pandas is not installed.
        """
        frame = optional_package("pandas", "to_pandas").DataFrame(self.pixels.items(), columns=["class", "pixels"])
        return frame.assign(share=frame["pixels"] / self.mask.size)

    def to_supervision(self) -> Any:
        """A `supervision.Detections` with one mask for each class that occurs.

        Raises:
            UserError: If supervision is not installed.
        """
        supervision = optional_package("supervision", "to_supervision")
        ids = np.unique(self.mask)
        masks = self.mask[None] == ids[:, None, None]
        boxes = supervision.mask_to_xyxy(masks)
        names = np.array(self._names(ids.tolist()))
        return supervision.Detections(xyxy=boxes, mask=masks, class_id=ids.astype(int), data={"class_name": names})

    def draw(self) -> Image.Image:
        from visionkit.report.masks import draw_overlay

        image, reduced = self.read_image()
        return draw_overlay(image, self.outputs["mask"][::reduced, ::reduced], self.class_names)

    def _summary(self) -> str:
        ordered = sorted(self.pixels.items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {count / self.mask.size:.1%}" for name, count in ordered)

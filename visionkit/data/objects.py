"""Batches of images of different sizes with the objects marked in them.

A batch is a flat dict (B images, M objects at most in one, T with crowds; M and T multiples of 8, so that compiled
steps see few shapes)::

    images       uint8   (B, C, H, W)  content at the top left, zeros beside and below
    image_sizes  int64   (B, 2)        height and width of the content
    boxes        float32 (B, M, 4)     xyxy in pixels of the batch, zeros behind the last
    labels       int64   (B, M)        class ids from 0, -1 behind the last
    index        int64   (B,)          positions in the split

and, for evaluation, the truth in pixels of the image as it was decoded, which no resizing has touched::

    original_sizes int64 (B, 2)   truth_boxes float32 (B, T, 4)   truth_labels int64 (B, T), -1 behind the last
    truth_crowd bool (B, T)       truth_area float32 (B, T)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from visionkit.data.annotations import Annotation
from visionkit.data.loading import BatchReader
from visionkit.data.memory import Decoded
from visionkit.data.object_augment import ObjectAugment, visible
from visionkit.data.order import Plan
from visionkit.data.samples import Samples
from visionkit.data.transforms import Preprocess

__all__ = ["ObjectReader"]

_MULTIPLE = 8


class ObjectReader(BatchReader):
    """Makes one batch of a split whose images have annotations.

    Args:
        samples: The split.
        preprocess: Brings each image to a size of its own and fills a batch up.
        training: Whether to leave the truth in original pixels out.
        augment: Random changes; None or empty for evaluation.
        decoded: The images, where they were decoded beforehand.
        prepared: Whether ``decoded`` holds fitted images.
        strict: Whether an unreadable image ends the run.
    """

    augment: ObjectAugment | None  # type: ignore[assignment]

    def __init__(
        self,
        samples: Samples,
        preprocess: Preprocess,
        *,
        training: bool,
        augment: ObjectAugment | None = None,
        decoded: Decoded | None = None,
        prepared: bool = False,
        strict: bool = False,
    ) -> None:
        super().__init__(samples, preprocess, decoded=decoded, prepared=prepared, target="boxes", strict=strict)
        self.training, self.augment = training, augment or None

    def read(self, plan: Plan) -> dict[str, Tensor]:
        """Make a batch, as the module says; images that cannot be read are missing and marked in ``broken``.

        Raises:
            UserError: If an image cannot be read and ``strict`` is set.
        """
        images, indices = self._fetch(torch.from_numpy(plan[0]))
        if not len(indices):
            return self.filler()
        annotations = [self.samples.annotation(index) for index in indices.tolist()]
        sizes = self._original_sizes(images, indices)
        if self.augment is not None:
            places = (
                (image, *_to_size(annotation, size, image))
                for image, annotation, size in zip(images, annotations, sizes, strict=True)
            )
            placed = self.augment(places, seed=plan[1])
        else:
            fitted = [self.preprocess.fit(image) for image in images]
            placed = [
                (image, *visible(*_to_size(annotation, size, image), image))
                for image, annotation, size in zip(fitted, annotations, sizes, strict=True)
            ]
        batch = self._batch([image for image, _, _ in placed], [row[1:] for row in placed], indices)
        return batch if self.training else batch | _truth(annotations, sizes)

    def filler(self) -> dict[str, Tensor]:
        """Two black images without objects that stand for no sample; see `BatchReader.filler`."""
        height, width = self.preprocess.padded_size(*self.preprocess.image_size)
        images = [torch.zeros((self.samples.in_channels, height, width), dtype=torch.uint8)] * 2
        nothing = (torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
        batch = self._batch(images, [nothing] * 2, torch.zeros(0, dtype=torch.int64))
        if self.training:
            return batch
        empty = Annotation(*nothing, crowd=torch.zeros(0, dtype=torch.bool), area=torch.zeros(0))
        return batch | _truth([empty] * 2, batch["image_sizes"])

    def _original_sizes(self, images: Tensor | Sequence[Tensor], indices: Tensor) -> Tensor:
        """Height and width before any fitting, int64 (B, 2)."""
        if self.decoded is not None and self.decoded.sizes is not None:
            return self.decoded.sizes[indices]
        return torch.tensor([image.shape[-2:] for image in images], dtype=torch.int64)

    def _batch(
        self, images: Sequence[Tensor], objects: Sequence[tuple[Tensor, Tensor]], indices: Tensor
    ) -> dict[str, Tensor]:
        batch, image_sizes = self.preprocess.pad_batch(images)
        return {
            "images": batch,
            "image_sizes": image_sizes,
            "boxes": _pad([boxes for boxes, _ in objects], 0),
            "labels": _pad([labels for _, labels in objects], -1),
            "index": indices,
        }


def _to_size(annotation: Annotation, size: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (n, 4) and labels (n,) of single objects, from an image of ``size`` (height, width) to this one of it."""
    scale = torch.tensor(image.shape[-2:]).flip(0) / size.flip(0)  # along x, along y
    single = ~annotation.crowd
    return annotation.boxes[single] * scale.repeat(2), annotation.labels[single]


def _truth(annotations: Sequence[Annotation], sizes: Tensor) -> dict[str, Tensor]:
    return {
        "original_sizes": sizes,
        "truth_boxes": _pad([annotation.boxes for annotation in annotations], 0),
        "truth_labels": _pad([annotation.labels for annotation in annotations], -1),
        "truth_crowd": _pad([annotation.crowd for annotation in annotations], 0),
        "truth_area": _pad([annotation.area for annotation in annotations], 0),
    }


def _pad(rows: Sequence[Tensor], value: int) -> Tensor:
    """Rows (n, ...) of different lengths as one tensor (B, M, ...), M a multiple of 8 and at least 8."""
    most = max(1, max(len(row) for row in rows))
    length = -(-most // _MULTIPLE) * _MULTIPLE
    result = rows[0].new_full((len(rows), length, *rows[0].shape[1:]), value)
    for target, row in zip(result, rows, strict=True):
        target[: len(row)] = row
    return result

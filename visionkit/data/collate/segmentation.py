"""Batches of images of different sizes with the class of each pixel.

A batch is a flat dict (B images)::

    images       uint8 (B, C, H, W)  content at the top left, zeros beside and below
    image_sizes  int64 (B, 2)        height and width of the content
    mask         uint8 (B, H, W)     class ids from 0, 255 where it is ignored and beside and below the content
    index        int64 (B,)          positions in the split

and, for evaluation, the truth in pixels of the image as it was decoded, which no resizing has touched::

    original_sizes int64 (B, 2)   truth_mask uint8 (B, Ho, Wo), 255 where it is ignored and outside the image
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from visionkit.data.augment.joint import Sample
from visionkit.data.class_masks import resize_mask
from visionkit.data.collate.base import PaddedBatchReader
from visionkit.structures.class_ids import IGNORE_INDEX

__all__ = ["SegmentationBatchReader"]


class SegmentationBatchReader(PaddedBatchReader[Tensor]):
    """Makes one batch of a split whose images have class masks."""

    def load_target(self, index: int) -> Tensor:
        return self.samples.mask(index)

    def transform_target(self, target: Tensor, size: Tensor, image: Tensor) -> Sample:
        height, width = image.shape[-2:]
        return {"image": image, "mask": resize_mask(target, (height, width))}

    def drop_invisible(self, sample: Sample) -> Sample:
        return sample

    def collate(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        images, image_sizes = self.transform.pad_batch([sample["image"] for sample in samples])
        mask = _pad([sample["mask"] for sample in samples], tuple(images.shape[-2:]))
        return {"images": images, "image_sizes": image_sizes, "mask": mask}

    def original_target(self, targets: Sequence[Tensor], sizes: Tensor) -> dict[str, Tensor]:
        return {"truth_mask": _pad(targets, tuple(sizes.amax(dim=0).tolist()))}

    def empty_target(self, height: int, width: int) -> Tensor:
        return torch.full((height, width), IGNORE_INDEX, dtype=torch.uint8)


def _pad(masks: Sequence[Tensor], size: tuple[int, ...]) -> Tensor:
    """Masks (h, w) at the top left of uint8 (B, H, W)."""
    batch = torch.full((len(masks), *size), IGNORE_INDEX, dtype=torch.uint8)
    for row, mask in zip(batch, masks, strict=True):
        row[: mask.shape[0], : mask.shape[1]] = mask
    return batch

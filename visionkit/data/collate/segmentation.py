"""Batches of images of different sizes with a class mask each.

A batch is a dict of tensors for B images::

    images       uint8 (B, C, H, W)  padded with zeros on the right and below
    image_sizes  int64 (B, 2)        height and width before padding
    mask         uint8 (B, H, W)     class ids from 0, 255 is ignored, padded with 255
    index        int64 (B,)          indices in the split

For evaluation it also has the ground truth in pixels of the decoded images, before any resizing::

    original_sizes int64 (B, 2)   truth_mask uint8 (B, Ho, Wo), padded with 255
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from visionkit.data.augment.joint import Sample
from visionkit.data.class_masks import resize_mask
from visionkit.data.collate.padded import PaddedBatchReader
from visionkit.structures.class_ids import IGNORE_INDEX

__all__ = ["SegmentationBatchReader"]


class SegmentationBatchReader(PaddedBatchReader[Tensor]):
    """Reads batches with class masks."""

    mask_fill = IGNORE_INDEX

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


def _pad(masks: Sequence[Tensor], size: tuple[int, ...]) -> Tensor:
    """Pad masks, uint8 (h, w), with `IGNORE_INDEX` on the right and below, and stack them, (B, H, W)."""
    batch = torch.full((len(masks), *size), IGNORE_INDEX, dtype=torch.uint8)
    for row, mask in zip(batch, masks, strict=True):
        row[: mask.shape[0], : mask.shape[1]] = mask
    return batch

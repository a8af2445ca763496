"""Batches of images of different sizes with annotated objects.

A batch is a dict of tensors for B images. M is the maximum number of objects in an image, T the same with crowds, both
rounded up to multiples of 8, so that compiled steps see few shapes::

    images       uint8   (B, C, H, W)  padded with zeros on the right and below
    image_sizes  int64   (B, 2)        height and width before padding
    boxes        float32 (B, M, 4)     xyxy in pixels of the batch, padded with zeros
    labels       int64   (B, M)        class ids from 0, padded with -1
    index        int64   (B,)          indices in the split

For evaluation it also has the ground truth in pixels of the decoded images, before any resizing::

    original_sizes int64 (B, 2)   truth_boxes float32 (B, T, 4)   truth_labels int64 (B, T), padded with -1
    truth_crowd bool (B, T)       truth_area float32 (B, T)

Batches for instance segmentation also have ``masks`` bool (B, M, H, W) and, for evaluation, ``truth_runs`` uint8
(B, L): each image's masks packed by `visionkit.structures.rle.pack_masks`, padded with zeros. Binary masks of the
original images would take gigabytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from visionkit.data.annotations import Objects
from visionkit.data.augment.joint import Sample, sanitize_boxes
from visionkit.data.class_masks import resize_mask
from visionkit.data.collate.padded import PaddedBatchReader
from visionkit.structures.rle import pack_masks

__all__ = ["InstanceBatchReader", "DetectionBatchReader"]

_MULTIPLE = 8


class DetectionBatchReader(PaddedBatchReader[Objects]):
    """Reads batches with boxes and labels."""

    def load_target(self, index: int) -> Objects:
        return self.samples.annotation(index)

    def transform_target(self, target: Objects, size: Tensor, image: Tensor) -> Sample:
        scale = torch.tensor(image.shape[-2:]).flip(0) / size.flip(0)  # along x, along y
        single = ~target.crowd
        boxes, labels = (torch.from_numpy(column[single]) for column in (target.boxes, target.labels))
        return {"image": image, "boxes": boxes * scale.repeat(2), "labels": labels}

    def drop_invisible(self, sample: Sample) -> Sample:
        return sanitize_boxes(sample)

    def collate(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        images, image_sizes = self.transform.pad_batch([sample["image"] for sample in samples])
        return {
            "images": images,
            "image_sizes": image_sizes,
            "boxes": _pad([sample["boxes"] for sample in samples], 0),
            "labels": _pad([sample["labels"] for sample in samples], -1),
        }

    def original_target(self, targets: Sequence[Objects], sizes: Tensor) -> dict[str, Tensor]:
        fill_values = {"boxes": 0, "labels": -1, "crowd": 0, "area": 0}
        return {
            f"truth_{name}": _pad([torch.from_numpy(getattr(target, name)) for target in targets], value)
            for name, value in fill_values.items()
        }


class InstanceBatchReader(DetectionBatchReader):
    """Reads batches with boxes, labels and instance masks."""

    def transform_target(self, target: Objects, size: Tensor, image: Tensor) -> Sample:
        height, width = image.shape[-2:]
        chunks = target.select(~target.crowd).mask_chunks(*size.tolist())
        # chunks lie in memory column by column: transposed, they are resized without a copy
        masks = [resize_mask(torch.from_numpy(chunk).mT, (width, height)).mT.contiguous() for chunk in chunks]
        joined = torch.cat(masks) if masks else torch.zeros((0, height, width), dtype=torch.uint8)
        return super().transform_target(target, size, image) | {"masks": joined}

    def drop_invisible(self, sample: Sample) -> Sample:
        """Also drop objects without a pixel in their mask."""
        sample = super().drop_invisible(sample)
        keep = sample["masks"].flatten(1).any(dim=1).bool()  # of uint8, any() is uint8
        return {name: value if name == "image" else value[keep] for name, value in sample.items()}

    def collate(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        batch = super().collate(samples)
        shape = (*batch["labels"].shape, *batch["images"].shape[-2:])
        return batch | {"masks": _pad_masks([sample["masks"] for sample in samples], shape)}

    def original_target(self, targets: Sequence[Objects], sizes: Tensor) -> dict[str, Tensor]:
        packed = [pack_masks(target.rles(*size)) for target, size in zip(targets, sizes.tolist(), strict=True)]
        return super().original_target(targets, sizes) | {"truth_runs": _pad(packed, 0)}


def _pad(rows: Sequence[Tensor], value: int) -> Tensor:
    """Pad tensors (n, ...) to the same length and stack them, (B, M, ...), M a multiple of 8 and at least 8."""
    longest = max(1, max(len(row) for row in rows))
    length = -(-longest // _MULTIPLE) * _MULTIPLE
    result = rows[0].new_full((len(rows), length, *rows[0].shape[1:]), value)
    for destination, row in zip(result, rows, strict=True):
        destination[: len(row)] = row
    return result


def _pad_masks(masks: Sequence[Tensor], shape: tuple[int, ...]) -> Tensor:
    """Pad the masks of each image, uint8 (n, h, w), with False at the end, on the right and below to (B, M, H, W)."""
    result = torch.zeros(shape, dtype=torch.bool)
    for destination, image_masks in zip(result, masks, strict=True):
        count, height, width = image_masks.shape
        destination[:count, :height, :width] = image_masks
    return result

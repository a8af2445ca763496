"""Masks as tensors: a class id per pixel, `visionkit.structures.class_ids.IGNORE_INDEX` where it does not count."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["pixels_inside", "restore_logits", "restore_masks"]

_MAX_ELEMENTS = 1 << 25
"""Elements of resized logits that are in memory at a time: 128 MiB of float32."""


def pixels_inside(image_sizes: Tensor, size: tuple[int, int]) -> Tensor:
    """Which pixels of a padded batch belong to its images.

    Args:
        image_sizes: (B, 2) int64 height and width of each image, which lies top left.
        size: Height and width of the batch in pixels.

    Returns:
        (B, H, W) bool.
    """
    rows = torch.arange(size[0], device=image_sizes.device) < image_sizes[:, :1]  # (B, H)
    columns = torch.arange(size[1], device=image_sizes.device) < image_sizes[:, 1:]  # (B, W)
    return rows[:, :, None] & columns[:, None, :]


def restore_logits(logits: Tensor, image_sizes: Tensor, original_sizes: Tensor) -> list[Tensor]:
    """Logits with padding and resizing undone, so that the class of each pixel of an original is their argmax.

    Images that share a size and an original size are interpolated in one call.

    Args:
        logits: (B, K, H, W) floating point, in pixels of the batch.
        image_sizes: (B, 2) int64 height and width of each image in the batch, without padding.
        original_sizes: (B, 2) int64 height and width of the same images as they were read.

    Returns:
        For each image (K, its original height, its original width).
    """
    restored: dict[int, Tensor] = {}
    for indices, (height, width, *original) in _group_by_size(image_sizes, original_sizes):
        resized = _resize(_select(logits, indices)[..., :height, :width], original)
        restored |= dict(zip(indices, resized, strict=True))
    return [restored[i] for i in range(len(logits))]


def restore_masks(logits: Tensor, image_sizes: Tensor, original_sizes: Tensor) -> Tensor:
    """The most likely class of each pixel of the originals: the argmax of `restore_logits`.

    Large originals are processed in chunks of images, or of the classes of one image, to bound the memory.

    Args:
        logits: (B, K, H, W) floating point, in pixels of the batch; at most 255 classes.
        image_sizes: (B, 2) int64 height and width of each image in the batch, without padding.
        original_sizes: (B, 2) int64 height and width of the same images as they were read.

    Returns:
        (B, Ho, Wo) uint8, as high and as wide as the largest original; zeros right of and below smaller ones.
    """
    groups = _group_by_size(image_sizes, original_sizes)
    max_height, max_width = (max(sizes[axis] for _, sizes in groups) for axis in (2, 3))
    masks = torch.zeros((len(logits), max_height, max_width), dtype=torch.uint8, device=logits.device)
    for indices, (height, width, *original) in groups:
        step = max(1, _MAX_ELEMENTS // (logits.shape[1] * original[0] * original[1]))
        for chunk in (indices[start : start + step] for start in range(0, len(indices), step)):
            predicted = _argmax_resized(_select(logits, chunk)[..., :height, :width], original)
            masks[chunk, : original[0], : original[1]] = predicted
    return masks


def _group_by_size(image_sizes: Tensor, original_sizes: Tensor) -> list[tuple[list[int], tuple[int, ...]]]:
    """Indices of the images of each size, with (height, width, original height, original width)."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, sizes in enumerate(torch.cat([image_sizes, original_sizes], dim=1).tolist()):
        groups.setdefault(tuple(sizes), []).append(index)
    return [(indices, sizes) for sizes, indices in groups.items()]


def _select(logits: Tensor, indices: list[int]) -> Tensor:
    """The images at ``indices``, without a copy where that is the whole batch."""
    return logits if len(indices) == len(logits) else logits[indices]


def _argmax_resized(logits: Tensor, size: list[int]) -> Tensor:
    """The argmax over the classes, (n, *size) uint8, of logits (n, K, h, w) that are resized in chunks of classes."""
    step = max(1, _MAX_ELEMENTS // (len(logits) * size[0] * size[1]))
    best, ids = _resize(logits[:, :step], size).max(dim=1)
    masks = ids.to(torch.uint8)
    for first in range(step, logits.shape[1], step):
        scores, ids = _resize(logits[:, first : first + step], size).max(dim=1)
        masks = torch.where(scores > best, (ids + first).to(torch.uint8), masks)
        best = torch.maximum(best, scores)
    return masks


def _resize(logits: Tensor, size: list[int]) -> Tensor:
    if list(logits.shape[-2:]) == size:
        return logits
    return F.interpolate(logits, size, mode="bilinear", align_corners=False)

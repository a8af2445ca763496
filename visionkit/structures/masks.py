"""Masks as tensors: a class id per pixel, `visionkit.structures.class_ids.IGNORE_INDEX` where it does not count."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["pixels_inside", "restore_logits", "restore_masks"]

_LARGEST = 1 << 25  # numbers that are held at once: 128 MiB of float32


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

    Images of one size that were one size are interpolated together.

    Args:
        logits: (B, K, H, W) floating point, in pixels of the batch.
        image_sizes: (B, 2) int64 height and width of each image in the batch, without padding.
        original_sizes: (B, 2) int64 height and width of the same images as they were read.

    Returns:
        For each image (K, its original height, its original width).
    """
    restored: dict[int, Tensor] = {}
    for places, (height, width, *original) in _alike(image_sizes, original_sizes):
        restored |= dict(zip(places, _resized(_rows(logits, places)[..., :height, :width], original), strict=True))
    return [restored[i] for i in range(len(logits))]


def restore_masks(logits: Tensor, image_sizes: Tensor, original_sizes: Tensor) -> Tensor:
    """The most likely class of each pixel of the originals: the argmax of `restore_logits`.

    Where originals are large, the logits of few images, or of few classes of one, are held at once.

    Args:
        logits: (B, K, H, W) floating point, in pixels of the batch; at most 255 classes.
        image_sizes: (B, 2) int64 height and width of each image in the batch, without padding.
        original_sizes: (B, 2) int64 height and width of the same images as they were read.

    Returns:
        (B, Ho, Wo) uint8, as high and as wide as the largest; zeros beside and below smaller ones.
    """
    groups = _alike(image_sizes, original_sizes)
    tallest, widest = (max(sizes[axis] for _, sizes in groups) for axis in (2, 3))
    masks = torch.zeros((len(logits), tallest, widest), dtype=torch.uint8, device=logits.device)
    for places, (height, width, *original) in groups:
        step = max(1, _LARGEST // (logits.shape[1] * original[0] * original[1]))
        for few in (places[start : start + step] for start in range(0, len(places), step)):
            found = _most_likely(_rows(logits, few)[..., :height, :width], original)
            masks[few, : original[0], : original[1]] = found
    return masks


def _alike(image_sizes: Tensor, original_sizes: Tensor) -> list[tuple[list[int], tuple[int, ...]]]:
    """The images of each pair of sizes: their places in the batch; height and width there and originally."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, sizes in enumerate(torch.cat([image_sizes, original_sizes], dim=1).tolist()):
        groups.setdefault(tuple(sizes), []).append(place)
    return [(places, sizes) for sizes, places in groups.items()]


def _rows(logits: Tensor, places: list[int]) -> Tensor:
    return logits if len(places) == len(logits) else logits[places]


def _most_likely(logits: Tensor, size: list[int]) -> Tensor:
    """The argmax over the classes, (n, *size) uint8, of logits (n, K, h, w) that are resized some classes at a time."""
    step = max(1, _LARGEST // (len(logits) * size[0] * size[1]))
    best, ids = _resized(logits[:, :step], size).max(dim=1)
    masks = ids.to(torch.uint8)
    for first in range(step, logits.shape[1], step):
        scores, ids = _resized(logits[:, first : first + step], size).max(dim=1)
        masks = torch.where(scores > best, (ids + first).to(torch.uint8), masks)
        best = torch.maximum(best, scores)
    return masks


def _resized(logits: Tensor, size: list[int]) -> Tensor:
    if list(logits.shape[-2:]) == size:
        return logits
    return F.interpolate(logits, size, mode="bilinear", align_corners=False)

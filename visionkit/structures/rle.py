"""Masks of single objects, as large as their images: kept run-length encoded, laid out one at a time.

A hundred masks of an image of 12 megapixels are more than a gigabyte as bits, and some kilobytes as runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["RunLengths", "decode_mask", "encode_masks", "mask_iou", "pack_masks", "paste_masks", "unpack_masks"]

RunLengths = dict[str, object]
"""COCO's compressed form of one mask: ``size``, its height and width, and ``counts``, a word."""


def encode_masks(masks: Tensor) -> list[RunLengths]:
    """Masks (n, H, W) on the CPU, bool or uint8 with 1 inside, as run lengths."""
    return [_encode(mask) for mask in masks.numpy()]


def decode_mask(runs: RunLengths) -> NDArray[numpy.bool_]:
    """One mask, (H, W)."""
    from pycocotools import mask as coco

    pixels: NDArray[numpy.bool_] = coco.decode(runs).astype(bool)
    return pixels


def pack_masks(masks: Sequence[Mapping[str, object]]) -> Tensor:
    """The words of masks of one image as bytes, uint8 (n,): they travel and are kept as tensors do."""
    words = "\n".join(str(runs["counts"]) for runs in masks).encode("ascii")
    return torch.frombuffer(bytearray(words), dtype=torch.uint8) if words else torch.zeros(0, dtype=torch.uint8)


def unpack_masks(packed: Tensor, size: Sequence[int]) -> list[RunLengths]:
    """What `pack_masks` was given.

    Args:
        packed: uint8 (n,), perhaps with zeros behind.
        size: Height and width of the image.
    """
    words = bytes(packed.cpu().numpy()).rstrip(b"\0").decode("ascii").splitlines()
    return [{"size": list(size), "counts": word} for word in words]


def mask_iou(masks: Sequence[RunLengths], others: Sequence[RunLengths]) -> Tensor:
    """Intersection over union of each of n masks with each of m others of the same image: (n, m) float64."""
    from pycocotools import mask as coco

    if not masks or not others:
        return torch.zeros(len(masks), len(others), dtype=torch.float64)
    return torch.from_numpy(coco.iou(masks, others, [0] * len(others)))


def paste_masks(mask_logits: Tensor, boxes: Tensor, size: tuple[int, int]) -> list[RunLengths]:
    """Lay masks over their boxes: a pixel is the object's where that is as likely as not.

    Probabilities are interpolated between the middles of the cells, and are 0 outside (He et al. 2017,
    arXiv:1703.06870, section 3.1: "resized to the RoI size, and binarized at a threshold of 0.5").

    Args:
        mask_logits: (n, S, S) float on the CPU, stretched over the boxes.
        boxes: (n, 4) xyxy in pixels of the image.
        size: The image's height and width.
    """
    probabilities = mask_logits.float().sigmoid().numpy()
    pairs = zip(probabilities, boxes.double().numpy(), strict=True)
    return [_encode(_paste(mask, box, size)) for mask, box in pairs]


def _paste(mask: NDArray[numpy.float32], box: NDArray[numpy.float64], size: tuple[int, int]) -> NDArray[numpy.bool_]:
    cells = len(mask)
    left, top, right, bottom = box
    rows, down = _weights(top, bottom, cells, size[0])
    columns, across = _weights(left, right, cells, size[1])
    pixels = numpy.zeros(size, dtype=bool, order="F")  # as COCO counts
    pixels[rows, columns] = down @ mask @ across.T >= 0.5
    return pixels


def _weights(start: float, end: float, cells: int, length: int) -> tuple[slice, NDArray[numpy.float32]]:
    """The pixels of a side that a box reaches, and the share of each of its cells in each of them."""
    side = (end - start) / cells
    first, last = (min(max(0, int(place)), length) for place in (start - side / 2, end + side / 2 + 1))
    place = (numpy.arange(first, last) + 0.5 - start) / side - 0.5
    weights = numpy.maximum(0, 1 - numpy.abs(place[:, None] - numpy.arange(cells)))
    return slice(first, last), weights.astype(numpy.float32)


def _encode(mask: NDArray[numpy.bool_]) -> RunLengths:
    from pycocotools import mask as coco

    runs = coco.encode(numpy.asfortranarray(mask).view(numpy.uint8))
    return {"size": list(runs["size"]), "counts": runs["counts"].decode("ascii")}

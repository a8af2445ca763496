"""Masks of single objects in the size of their images, run-length encoded and decoded one at a time.

A hundred masks of an image of 12 megapixels take more than a gigabyte as pixels, and some kilobytes as run lengths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "RunLengths",
    "decode_mask",
    "decode_part",
    "encode_masks",
    "mask_area",
    "mask_iou",
    "pack_masks",
    "paste_masks",
    "unpack_masks",
]

RunLengths = dict[str, object]
"""COCO's compressed form of one mask: ``size``, its height and width, and ``counts``, an ASCII string."""


def encode_masks(masks: Tensor) -> list[RunLengths]:
    """Masks (n, H, W) on the CPU, bool or uint8 with 1 inside, as run lengths."""
    return [_encode(mask) for mask in masks.numpy()]


def decode_mask(runs: RunLengths) -> NDArray[numpy.bool_]:
    """One mask as (H, W) bool."""
    from pycocotools import mask as coco

    pixels: NDArray[numpy.bool_] = coco.decode(runs).astype(bool)
    return pixels


def decode_part(runs: RunLengths) -> tuple[NDArray[numpy.bool_], int, int]:
    """The smallest part of a mask that holds all of it, (h, w) bool, and its first row and column."""
    from pycocotools import mask as coco

    left, top, width, height = (int(value) for value in coco.toBbox(runs))
    return decode_mask(runs)[top : top + height, left : left + width], top, left


def mask_area(runs: RunLengths) -> int:
    """The number of pixels of one mask."""
    from pycocotools import mask as coco

    return int(coco.area(runs))


def pack_masks(masks: Sequence[Mapping[str, object]]) -> Tensor:
    """The ``counts`` of the masks of one image as a uint8 tensor (n,) of ASCII text, a line per mask."""
    text = "\n".join(str(runs["counts"]) for runs in masks).encode("ascii")
    return torch.frombuffer(bytearray(text), dtype=torch.uint8) if text else torch.zeros(0, dtype=torch.uint8)


def unpack_masks(packed: Tensor, size: Sequence[int]) -> list[RunLengths]:
    """The inverse of `pack_masks`.

    Args:
        packed: uint8 (n,), possibly padded with zeros at the end.
        size: Height and width of the image.
    """
    lines = bytes(packed.cpu().numpy()).rstrip(b"\0").decode("ascii").splitlines()
    return [{"size": list(size), "counts": line} for line in lines]


def mask_iou(masks: Sequence[RunLengths], others: Sequence[RunLengths]) -> Tensor:
    """Intersection over union of each of n masks with each of m others of the same image: (n, m) float64."""
    from pycocotools import mask as coco

    if not masks or not others:
        return torch.zeros(len(masks), len(others), dtype=torch.float64)
    return torch.from_numpy(coco.iou(masks, others, [0] * len(others)))


def paste_masks(mask_logits: Tensor, boxes: Tensor, size: tuple[int, int]) -> list[RunLengths]:
    """Resize each mask to its box and binarise it: a pixel is inside where its probability is at least 0.5.

    Probabilities are interpolated bilinearly between the centres of cells, and are 0 outside (He et al. 2017,
    arXiv:1703.06870, section 3.1: "resized to the RoI size, and binarized at a threshold of 0.5").

    Args:
        mask_logits: (n, S, S) floating point on the CPU, one mask per box.
        boxes: (n, 4) xyxy in pixels of the image.
        size: Height and width of the image in pixels.
    """
    probabilities = mask_logits.float().sigmoid().numpy()
    pairs = zip(probabilities, boxes.double().numpy(), strict=True)
    return [_encode_part(*_paste(mask, box, size), size) for mask, box in pairs]


def _paste(
    mask: NDArray[numpy.float32], box: NDArray[numpy.float64], size: tuple[int, int]
) -> tuple[NDArray[numpy.bool_], int, int]:
    """The pixels that a box touches, (h, w) bool, and the first row and column of them."""
    cells = len(mask)
    left, top, right, bottom = box
    rows, row_weights = _weights(top, bottom, cells, size[0])
    columns, column_weights = _weights(left, right, cells, size[1])
    return row_weights @ mask @ column_weights.T >= 0.5, rows.start, columns.start


def _encode_part(part: NDArray[numpy.bool_], top: int, left: int, size: tuple[int, int]) -> RunLengths:
    """The run lengths of a mask that is empty but for a part of it; the time is that of the part."""
    from pycocotools import mask as coco

    height, width = size
    framed = numpy.zeros((part.shape[1], part.shape[0] + 2), dtype=numpy.int8)  # COCO's runs go down columns
    framed[:, 1:-1] = part.T
    column, row = numpy.diff(framed, axis=1).nonzero()  # where a run begins, and where it ends, in turn
    edges = (left + column.astype(numpy.int64)) * height + top + row
    joined = edges[1:-1].reshape(-1, 2)
    joined = numpy.repeat(
        joined[:, 0] == joined[:, 1], 2
    )  # a run to the foot of one column and from the top of the next
    edges = numpy.concatenate([edges[:1], edges[1:-1][~joined], edges[-1:]])
    counts = numpy.diff(edges, prepend=0, append=height * width)
    counts = counts if counts[-1] else counts[:-1]
    runs = coco.frPyObjects({"counts": counts.tolist(), "size": [height, width]}, height, width)
    return {"size": list(runs["size"]), "counts": runs["counts"].decode("ascii")}


def _weights(start: float, end: float, cells: int, length: int) -> tuple[slice, NDArray[numpy.float32]]:
    """Along one axis, the range of pixels that a box touches, and the interpolation weights (pixels, cells)."""
    side = (end - start) / cells
    first, last = (min(max(0, int(position)), length) for position in (start - side / 2, end + side / 2 + 1))
    position = (numpy.arange(first, last) + 0.5 - start) / side - 0.5  # in cells
    weights = numpy.maximum(0, 1 - numpy.abs(position[:, None] - numpy.arange(cells)))
    return slice(first, last), weights.astype(numpy.float32)


def _encode(mask: NDArray[numpy.bool_]) -> RunLengths:
    from pycocotools import mask as coco

    runs = coco.encode(numpy.asfortranarray(mask).view(numpy.uint8))
    return {"size": list(runs["size"]), "counts": runs["counts"].decode("ascii")}

"""Overlapping windows over large images, and segmentation by them, whose probabilities are blended."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from visionkit.data.image_rows import ImageRows

__all__ = [
    "DEFAULT_OVERLAP",
    "OnProgress",
    "count_windows",
    "sliding_window_inference",
    "sliding_windows",
    "window_starts",
]

DEFAULT_OVERLAP = 0.25

_WINDOWS_PER_BATCH = 4

OnProgress = Callable[[int, int], None]
"""Called with the number of windows that are done, and that of all of an image."""


def sliding_window_inference(
    predict_fn: Callable[[Tensor], Tensor],
    image: ImageRows,
    *,
    window: tuple[int, int],
    overlap: float = DEFAULT_OVERLAP,
    on_progress: OnProgress = lambda done, total: None,
) -> Tensor:
    """The most likely class of each pixel, from windows that slide over an image.

    Where windows overlap, their probabilities are averaged with weights that fall towards each window's edges, so that
    no edge becomes a visible seam. Besides the result, memory holds the rows of the image that a row of windows covers,
    a few windows, and of the probabilities still to be blended a strip as high as the overlap and as wide as the image.

    Args:
        predict_fn: Crops (n, C, h, w) of the image to class probabilities (n, K, h, w) floating, at most 255 classes.
        image: Read from the top down.
        window: Height and width in pixels; a side that is longer than the image's is cut to it.
        overlap: The minimal fraction of a window's side that neighbours share, at least 0 and below 1.
        on_progress: Called before the first row of windows and after each.

    Returns:
        (H, W) uint8, on the CPU.
    """
    height, width = image.size
    window_height, window_width = min(window[0], height), min(window[1], width)
    tops, lefts = window_starts(height, window_height, overlap), window_starts(width, window_width, overlap)
    row_weights = _blend_weights(tops, window_height, height, overlap)
    column_weights = _blend_weights(lefts, window_width, width, overlap)
    mask = torch.empty((height, width), dtype=torch.uint8)
    pending = torch.empty(0)  # (K, rows, W): weighted probabilities of rows that the next row of windows also covers
    ends = [*tops[1:], height]
    max_pending = max(top + window_height - end for top, end in zip(tops, ends, strict=True))
    num_pending = 0
    for row, (top, end, weights) in enumerate(zip(tops, ends, row_weights, strict=True)):
        on_progress(row * len(lefts), len(tops) * len(lefts))
        crops = _crops(image.rows(top, top + window_height), lefts, window_width)
        for left, blended in _blend_columns(predict_fn, crops, lefts, column_weights):  # (K, window_height, n)
            if not pending.numel():
                pending = blended.new_empty((len(blended), max_pending, width))
            columns = slice(left, left + blended.shape[2])
            blended.mul_(weights.to(blended)[:, None])
            blended[:, :num_pending] += pending[:, :num_pending, columns]
            mask[top:end, columns] = blended[:, : end - top].max(dim=0).indices.to(torch.uint8).cpu()
            pending[:, : top + window_height - end, columns] = blended[:, end - top :]
        num_pending = top + window_height - end
    on_progress(len(tops) * len(lefts), len(tops) * len(lefts))
    return mask


def sliding_windows(
    image: ImageRows, *, window: tuple[int, int], overlap: float = DEFAULT_OVERLAP
) -> Iterator[tuple[Tensor, Tensor]]:
    """The windows over an image, row by row from the top, a few at a time.

    Args:
        image: Read from the top down.
        window: Height and width in pixels; a side that is longer than the image's is cut to it.
        overlap: The minimal fraction of a window's side that neighbours share, at least 0 and below 1.

    Yields:
        Left and top of each window in pixels of the image, int64 (n, 2), and their pixels, (n, C, h, w).
    """
    height, width = image.size
    window_height, window_width = min(window[0], height), min(window[1], width)
    lefts = window_starts(width, window_width, overlap)
    for top in window_starts(height, window_height, overlap):
        start = 0
        for crops in _crops(image.rows(top, top + window_height), lefts, window_width):
            corners = [(left, top) for left in lefts[start : start + len(crops)]]
            start += len(crops)
            yield torch.tensor(corners), crops


def count_windows(size: tuple[int, int], *, window: tuple[int, int], overlap: float) -> int:
    """The number of windows over an image of this height and width."""
    return math.prod(
        len(window_starts(side, min(length, side), overlap)) for side, length in zip(size, window, strict=True)
    )


def window_starts(side: int, window: int, overlap: float) -> list[int]:
    """The first pixels of windows along a side: the fewest that overlap enough, evenly spaced from edge to edge."""
    last = side - window
    steps = math.ceil(last / max(1.0, window * (1 - overlap)))
    return [round(last * step / steps) for step in range(steps + 1)] if steps else [0]


def _blend_columns(
    predict_fn: Callable[[Tensor], Tensor], crops: Iterator[Tensor], lefts: Sequence[int], weights: Tensor
) -> Iterator[tuple[int, Tensor]]:
    """The blended columns of a row of windows, from the left: the first column, and probabilities (K, h, n).

    Columns are yielded as soon as no later window covers them.
    """
    windows = (probabilities for batch in crops for probabilities in predict_fn(batch))
    remainder: Tensor | None = None
    for index, (left, probabilities) in enumerate(zip(lefts, windows, strict=True)):
        weighted = probabilities * weights[index].to(probabilities)
        if remainder is not None:
            weighted[..., : remainder.shape[-1]] += remainder
        num_done = lefts[index + 1] - left if index + 1 < len(lefts) else weighted.shape[-1]
        yield left, weighted[..., :num_done]
        remainder = weighted[..., num_done:]


def _crops(strip: Tensor, lefts: Sequence[int], window_width: int) -> Iterator[Tensor]:
    for start in range(0, len(lefts), _WINDOWS_PER_BATCH):
        batch = lefts[start : start + _WINDOWS_PER_BATCH]
        yield torch.stack([strip[..., left : left + window_width] for left in batch])


def _blend_weights(starts: Sequence[int], window: int, side: int, overlap: float) -> Tensor:
    """Weights of each window along a side, (windows, window) float32; at each pixel they sum to 1."""
    positions = torch.arange(window)
    ramp = (torch.minimum(positions, positions.flip(0)) + 0.5) / max(1.0, overlap * window)
    ramp = ramp.clamp(max=1)
    total = torch.zeros(side)
    for start in starts:
        total[start : start + window] += ramp
    return torch.stack([ramp / total[start : start + window] for start in starts])

"""Segmenting images that are too large to be looked at as a whole: window by window, with blended seams."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

__all__ = ["slide", "window_starts"]

_AT_ONCE = 4


def slide(look: Callable[[Tensor], Tensor], image: Tensor, *, window: tuple[int, int], overlap: float = 0.25) -> Tensor:
    """The most likely class of each pixel, from windows that slide over an image.

    Where windows overlap, their probabilities are averaged with weights that fall towards each window's edges, so that
    none ends at a visible seam. Besides image and result, memory holds a few windows, and of what is still to be
    blended a strip as wide as the overlap along the image's shorter side.

    Args:
        look: Crops (n, C, h, w) of the image to class probabilities (n, K, h, w) floating, at most 255 classes.
        image: (C, H, W).
        window: Height and width in pixels; a side that is longer than the image's is cut to it.
        overlap: The share of a window's side that neighbours have in common at least, 0 or more and below 1.

    Returns:
        (H, W) uint8, on the CPU.
    """
    height, width = image.shape[-2:]
    if width > height:
        turned = slide(lambda crops: look(crops.mT).mT, image.mT, window=(window[1], window[0]), overlap=overlap)
        return turned.mT.contiguous()
    tall, wide = min(window[0], height), min(window[1], width)
    tops, lefts = window_starts(height, tall, overlap), window_starts(width, wide, overlap)
    row_weights, column_weights = _weights(tops, tall, height, overlap), _weights(lefts, wide, width, overlap)
    mask = torch.empty((height, width), dtype=torch.uint8)
    below = torch.empty(0)  # (K, rows, W): what windows further up say of rows that the next ones see, too
    ends = [*tops[1:], height]
    strip, waiting = max(top + tall - end for top, end in zip(tops, ends, strict=True)), 0
    for top, end, weights in zip(tops, ends, row_weights, strict=True):
        crops = _crops(image[:, top : top + tall], lefts, wide)
        for left, part in _blended(look, crops, lefts, column_weights):  # (K, tall, n)
            if not below.numel():
                below = part.new_empty((len(part), strip, width))
            columns = slice(left, left + part.shape[2])
            part.mul_(weights.to(part)[:, None])
            part[:, :waiting] += below[:, :waiting, columns]
            mask[top:end, columns] = part[:, : end - top].max(dim=0).indices.to(torch.uint8).cpu()
            below[:, : top + tall - end, columns] = part[:, end - top :]
        waiting = top + tall - end
    return mask


def window_starts(side: int, window: int, overlap: float) -> list[int]:
    """Where windows begin along a side, in pixels: as few as overlap enough, evenly spread from edge to edge."""
    room = side - window
    steps = math.ceil(room / max(1.0, window * (1 - overlap)))
    return [round(room * number / steps) for number in range(steps + 1)] if steps else [0]


def _blended(
    look: Callable[[Tensor], Tensor], crops: Iterator[Tensor], lefts: Sequence[int], weights: Tensor
) -> Iterator[tuple[int, Tensor]]:
    """The columns of a row of windows, from the left, as soon as no later window sees them: where, and (K, h, n)."""
    windows = (found for few in crops for found in look(few))
    before: Tensor | None = None
    for number, (left, found) in enumerate(zip(lefts, windows, strict=True)):
        part = found * weights[number].to(found)
        if before is not None:
            part[..., : before.shape[-1]] += before
        done = lefts[number + 1] - left if number + 1 < len(lefts) else part.shape[-1]
        yield left, part[..., :done]
        before = part[..., done:]


def _crops(strip: Tensor, lefts: Sequence[int], wide: int) -> Iterator[Tensor]:
    for start in range(0, len(lefts), _AT_ONCE):
        yield torch.stack([strip[..., left : left + wide] for left in lefts[start : start + _AT_ONCE]])


def _weights(starts: Sequence[int], window: int, side: int, overlap: float) -> Tensor:
    """How much each window has to say along a side, (windows, window) float32; over each pixel they add up to 1."""
    places = torch.arange(window)
    rise = (torch.minimum(places, places.flip(0)) + 0.5) / max(1.0, overlap * window)
    rise = rise.clamp(max=1)
    total = torch.zeros(side)
    for start in starts:
        total[start : start + window] += rise
    return torch.stack([rise / total[start : start + window] for start in starts])

"""Boxes as tensors (..., 4) of xyxy pixels."""

import torch
from torch import Tensor

__all__ = ["rescale_boxes"]


def rescale_boxes(boxes: Tensor, from_sizes: Tensor, to_sizes: Tensor) -> Tensor:
    """Boxes in an image of one size as they lie in the same image of another.

    Args:
        boxes: (B, N, 4) xyxy pixels.
        from_sizes: (B, 2) height and width of the images they lie in.
        to_sizes: (B, 2) height and width wanted.

    Returns:
        (B, N, 4) of the same dtype.
    """
    scale = (to_sizes.to(torch.float64) / from_sizes).flip(-1).repeat(1, 2)  # (B, 4)
    return boxes * scale[:, None].to(boxes.dtype)

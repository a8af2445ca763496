"""RoIAlign on a feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from visionkit.backbones import FeatureInfo

__all__ = ["RoiPooling", "with_images"]


class RoiPooling(nn.Module):
    """RoIAlign (He et al. 2017, arXiv:1703.06870, section 3) on the pyramid level that fits a box's size.

    Unlike torchvision's ``MultiScaleRoIAlign``, it uses declared strides, which need not be powers of two.

    Args:
        levels: The declared stride and offset of each level, fine to coarse.
        corner: Put the first cell of a level at pixel 0, as torchvision does, not at its declared offset.
        size: Rows and columns of the pooled map of a box.
    """

    def __init__(self, levels: Sequence[FeatureInfo], *, corner: bool, size: int) -> None:
        super().__init__()
        self.size = size
        self.strides = [level.stride for level in levels]
        self.shifts = [0.0 if corner else level.offset + 0.5 for level in levels]

    def forward(self, maps: Sequence[Tensor], boxes: Tensor, images: Tensor) -> Tensor:
        """Pool each box.

        Args:
            maps: (B, C, H, W) per level, fine to coarse; maps after the last pooled level are ignored.
            boxes: (N, 4) xyxy in pixels.
            images: (N,) int64, the image of each.

        Returns:
            (N, C, size, size).
        """
        sides = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
        # Lin et al. 2017, equation 1: a box of 224 pixels belongs to stride 16
        limits = sides.new_tensor([stride * 224 / 16 for stride in self.strides[1:]])
        box_levels = (sides[:, None] * (1 + 1e-6) >= limits).sum(dim=1)
        pooled = boxes.new_zeros(boxes.shape[0], maps[0].shape[1], self.size, self.size)
        for i, (stride, shift) in enumerate(zip(self.strides, self.shifts, strict=True)):
            indices = torch.where(box_levels == i)[0]
            regions = torch.cat([images[indices, None].to(boxes.dtype), boxes[indices] - shift], dim=1)
            pooled[indices] = roi_align(maps[i].float(), regions, self.size, spatial_scale=1 / stride, sampling_ratio=2)
        return pooled.to(maps[0].dtype)


def with_images(boxes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The boxes (n, 4) of each image as one tensor (N, 4), and the image of each, (N,) int64."""
    counts = torch.tensor([len(rows) for rows in boxes], device=boxes[0].device)
    return torch.cat(list(boxes)), torch.arange(len(boxes), device=counts.device).repeat_interleave(counts)

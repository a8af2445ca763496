"""RoIAlign on the level that fits a box."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from visionkit.backbones import FeatureInfo

__all__ = ["RoiPooling"]


class RoiPooling(nn.Module):
    """RoIAlign on the level that fits a box's size (He et al. 2017, arXiv:1703.06870, section 3).

    torchvision's own takes strides to be powers of two, guessed from the first images it sees.

    Args:
        levels: What the levels give, fine to coarse.
        corner: Whether the first cell of a level stands at pixel 0, and not where the level declares it.
        size: Rows and columns that a box becomes.
    """

    def __init__(self, levels: Sequence[FeatureInfo], *, corner: bool, size: int) -> None:
        super().__init__()
        self.size = size
        self.strides = [level.stride for level in levels]
        self.shifts = [0.0 if corner else level.offset + 0.5 for level in levels]

    def forward(self, maps: Sequence[Tensor], boxes: list[Tensor], image_shapes: object) -> Tensor:
        """Pool each box.

        Args:
            maps: (B, C, H, W), fine to coarse; those behind the last pooled level are passed over.
            boxes: Per image (n, 4) xyxy in pixels.
            image_shapes: What torchvision's pooling wants to know.

        Returns:
            (n of all images, C, size, size).
        """
        corners = torch.cat(boxes)  # (N, 4)
        images = torch.cat([one.new_full((len(one), 1), i) for i, one in enumerate(boxes)])
        sides = (corners[:, 2:] - corners[:, :2]).prod(dim=1).sqrt()
        # Lin et al. 2017, equation 1: an object of 224 pixels is one of stride 16
        limits = sides.new_tensor([stride * 224 / 16 for stride in self.strides[1:]])
        fitting = torch.bucketize(sides * (1 + 1e-6), limits, right=True)
        pooled = corners.new_zeros(len(corners), maps[0].shape[1], self.size, self.size)
        for i, (stride, shift) in enumerate(zip(self.strides, self.shifts, strict=True)):
            here = torch.where(fitting == i)[0]
            regions = torch.cat([images[here], corners[here] - shift], dim=1)
            pooled[here] = roi_align(maps[i].float(), regions, self.size, spatial_scale=1 / stride, sampling_ratio=2)
        return pooled.to(maps[0].dtype)

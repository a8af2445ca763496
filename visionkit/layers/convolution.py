"""Pointwise and same-padded convolution."""

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Pointwise", "SameConv2d"]


class Pointwise(nn.Linear):
    """A fully connected layer over the channels of each position of a (B, C, H, W) map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SameConv2d(nn.Conv2d):
    """A convolution of stride 1 that keeps the size of a (B, C, H, W) map, for kernels of even extent.

    Where the total padding is odd, the extra cell is at the end, as with torch's ``padding="same"``, which would
    warn about the padded copy.
    """

    def forward(self, x: Tensor) -> Tensor:
        height, width = (d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True))
        top, left = height // 2, width // 2
        return super().forward(F.pad(x, (left, width - left, top, height - top)))

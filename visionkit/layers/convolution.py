"""Convolutions that torch has no layer for."""

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["SameConv2d", "Pointwise"]


class Pointwise(nn.Linear):
    """A fully connected layer over the channels of each position of a (B, C, H, W) map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SameConv2d(nn.Conv2d):
    """A convolution of stride 1 that keeps the size of a (B, C, H, W) map, for kernels of even extent.

    The odd cell of padding lies at the far end, as in torch's ``padding="same"``, which warns of its own copy.
    """

    def forward(self, x: Tensor) -> Tensor:
        rooms = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
        top, left = (room // 2 for room in rooms)
        return super().forward(F.pad(x, (left, rooms[1] - left, top, rooms[0] - top)))

"""Layer norm and layer scale over the channels of a feature map."""

import torch
from torch import Tensor, nn

__all__ = ["LayerNorm2d", "LayerScale"]


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of each position of a (B, C, H, W) map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class LayerScale(nn.Module):
    """A (B, C, H, W) map times a learned factor per channel, initialised to ``init_value``."""

    def __init__(self, channels: int, init_value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, 1, 1), init_value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight
